package app

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
)

// Times of the background work. A request may take 10 s by its contract, so a sign-up belongs to its request for longer than that.
const (
	createUserTimeout = 5 * time.Second
	signUpGrace       = 15 * time.Second
	signUpRetry       = 10 * time.Second
	reconcileEvery    = 2 * time.Second
	readFeedEvery     = 250 * time.Millisecond
	cleanEvery        = time.Minute
	firstLoadTimeout  = 3 * time.Second        // of keys and revocations, before the program serves
	retryLoadEvery    = 500 * time.Millisecond // while the keys cannot be read
)

// background starts what runs beside the requests. The loops of keys and feed belong to their constructors.
func background() fx.Option {
	return fx.Invoke(func(lc fx.Lifecycle, l *login.Service, s *session.Service, log *slog.Logger) {
		fxmod.Loop{Name: "complete interrupted sign-ups", Every: reconcileEvery, Timeout: time.Minute, Do: l.Reconcile}.Start(lc, log)
		fxmod.Loop{Name: "delete what expired", Every: cleanEvery, Timeout: time.Minute, Do: s.Clean}.Start(lc, log)
	})
}

// newKeeper loads the signing keys before the program serves, if the database answers, and keeps them current. Keys that the sealing key
// does not open stop the program: at its start, or later if the database came later.
func newKeeper(lc fx.Lifecycle, stop fx.Shutdowner, c Config, store signingkey.Store, now func() time.Time, log *slog.Logger) (*signingkey.Keeper, error) {
	sealer, err := signingkey.OpenSealer(c.Keys.File)
	if err != nil {
		return nil, err
	}
	keeper := signingkey.NewKeeper(c.policy(), store, sealer, rand.Reader, now)
	refresh := func(ctx context.Context) error {
		if !keeper.Due() {
			return nil
		}
		err := keeper.Refresh(ctx)
		if errors.Is(err, signingkey.ErrWrongSealingKey) && !keeper.Loaded() {
			log.ErrorContext(ctx, "stopping", "error", err.Error())
			return errors.Join(err, stop.Shutdown(fx.ExitCode(1)))
		}
		return err
	}
	lc.Append(fx.StartHook(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, firstLoadTimeout)
		defer cancel()
		err := keeper.Refresh(ctx)
		if errors.Is(err, signingkey.ErrWrongSealingKey) {
			return err
		}
		if err != nil {
			log.WarnContext(ctx, "the signing keys are not loaded yet", "error", err.Error())
		}
		return nil
	}))
	every := min(retryLoadEvery, c.policy().Reload())
	fxmod.Loop{Name: "refresh signing keys", Every: every, Timeout: firstLoadTimeout, Do: refresh}.Start(lc, log)
	return keeper, nil
}

// newFeed reads the ended sessions once before the program serves, if the database answers, and then again and again.
func newFeed(lc fx.Lifecycle, store session.Store, now func() time.Time, log *slog.Logger) *session.Feed {
	feed := session.NewFeed(store, now)
	lc.Append(fx.StartHook(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, firstLoadTimeout)
		defer cancel()
		if err := feed.Read(ctx); err != nil {
			log.WarnContext(ctx, "the ended sessions are not read yet", "error", err.Error())
		}
	}))
	fxmod.Loop{Name: "read ended sessions", Every: readFeedEvery, Wake: feed.Woken(), Timeout: 2 * time.Second, Do: feed.Read}.Start(lc, log)
	return feed
}

// newRevocationList is Auth's own list of ended sessions, fed in the process by the same feed that others follow through the mesh.
func newRevocationList(lc fx.Lifecycle, feed *session.Feed, now func() time.Time) *token.RevocationList {
	list := token.NewRevocationList(now)
	fxmod.Background(lc, func(ctx context.Context) {
		for ctx.Err() == nil {
			follow(ctx, feed, list)
		}
	})
	return list
}

// follow applies one follower's updates until it is cut or ctx ends.
func follow(ctx context.Context, feed *session.Feed, list *token.RevocationList) {
	follower, stop := feed.Follow()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case update, ok := <-follower.Updates:
			if !ok {
				return
			}
			ended := make([]token.Revocation, len(update))
			for i, r := range update {
				ended[i] = token.Revocation{SessionID: r.SessionID, ExpiresAt: r.ExpireTime}
			}
			list.Apply(true, ended) // an update is never split
		}
	}
}
