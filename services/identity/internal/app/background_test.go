package app

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// silent is a store that never answers, as one behind a broken network.
type silent struct {
	user.DeletionStore
	asked int
}

func (s *silent) ClaimDeletion(ctx context.Context, _, _ time.Time) (user.Deletion, bool, error) {
	s.asked++
	<-ctx.Done()
	return user.Deletion{}, false, ctx.Err()
}

// A database that does not answer holds up one look for interrupted deletions, not all of them.
func TestReconcilerGoesOnAfterASilentDatabase(t *testing.T) {
	store := &silent{}
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		users := user.NewService(user.Params{Deletions: store, Now: time.Now})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		reconciler(users, log).Run(ctx, log)
	})
	if store.asked < 5 {
		t.Errorf("the store was asked %d times in 10 minutes", store.asked)
	}
}
