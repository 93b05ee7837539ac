package access

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

// DefaultRecheck is how often a stream proves again that it may go on. With the time
// that a question may take it keeps the promise that what is revoked is gone within 5 s (R63).
const DefaultRecheck = 3 * time.Second

// Standing is what a stream was admitted by. The zero Standing needs no permission. Safe for
// concurrent use.
type Standing struct {
	mu    sync.Mutex
	asked []Question // nil where no permission was needed
	about Object
}

// Set notes what the last message was admitted by, and what it is about.
func (s *Standing) Set(asked []Question, about Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.about = asked, about
}

func (s *Standing) get() ([]Question, Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.about
}

// errRevoked ends a stream whose permission is gone.
func errRevoked() *apierr.Error {
	return apierr.PermissionDeniedError().Saying("you are no longer permitted to do this")
}

// RunWhileAuthorized runs a stream for as long as its token, its session and the
// permission that admitted it last. denied is what the subject was refused when that permission was
// taken away, else nil.
func (g Guard) RunWhileAuthorized(
	ctx context.Context, claims token.Claims, s *Standing, next func(context.Context) error,
) (denied *Object, err error) {
	expired := apierr.TokenExpired()
	until, cancel := context.WithTimeoutCause(ctx, claims.ExpiresAt.Sub(g.Now()), expired)
	defer cancel()
	checked, end := context.WithCancelCause(until)
	var checking sync.WaitGroup
	checking.Go(func() { end(g.recheck(checked, s)) })
	err = next(checked)
	var cause *apierr.Error
	if err != nil && checked.Err() != nil && errors.As(context.Cause(checked), &cause) {
		err = cause // it is us who ended the stream
	}
	end(nil)
	checking.Wait()
	if errors.Is(context.Cause(checked), errRevoked()) {
		_, about := s.get()
		denied = &about
	}
	return denied, err
}

// recheck returns why the stream may not go on, or that this cannot be found out (R62); nil when ctx
// ends first.
func (g Guard) recheck(ctx context.Context, s *Standing) (err error) {
	defer apierr.Recover(&err)
	tick := time.NewTicker(g.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := g.revalidate(ctx, s); err != nil {
			return err
		}
	}
}

// revalidate verifies the token again, which may have been revoked, and asks again what admitted
// the stream, as it is now.
func (g Guard) revalidate(ctx context.Context, s *Standing) error {
	claims, err := g.Bearer(ctx)
	if err != nil {
		return err
	}
	asked, _ := s.get()
	if len(asked) == 0 {
		return nil
	}
	allowed, err := ask(request.WithConsistency(ctx, ""), g.Permissions, claims.Subject, asked)
	if err == nil && !slices.Contains(allowed, true) {
		err = errRevoked()
	}
	return err
}
