package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// An instance that is stopped while it holds the lock of the trail loses its transaction: the others store on.
func TestStoppedInsideOfAnAppend(t *testing.T) {
	t.Parallel()
	pool := filledPool(t)
	stopped, err := locking{pool}.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stopped.Rollback(context.Background()) }()
	entry := trailtest.Entry(t, trailtest.Event())
	if _, err := look(t.Context(), stopped, []trail.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	store, busy := NewEvents(pool), apierr.New(apierr.Unavailable, "DATABASE_BUSY", "")
	verdicts, err := store.Append(ctx, []trail.Entry{entry})
	for errors.Is(err, busy) { // the server is slow to end the session; senders send again
		verdicts, err = store.Append(ctx, []trail.Entry{entry})
	}
	if err != nil || verdicts[0] != trail.Kept {
		t.Fatalf("got %v, %v: nobody stores while one instance is stopped", verdicts, err)
	}
	if err := copyNew(t.Context(), stopped, 1, []trail.Entry{trailtest.Entry(t, trailtest.Event())}); err == nil {
		t.Error("the stopped instance goes on in its transaction")
	}
}
