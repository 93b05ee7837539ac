package grpcserver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

// recheckEvery is how often a long-lived stream proves again that it may go on. With the time that a question may take it keeps the
// promise that what is revoked is gone within 5 s (R63).
const recheckEvery = 3 * time.Second

// standing is what a stream was admitted by.
type standing struct {
	mu    sync.Mutex
	asked []Question // nil where no permission was needed
	about denial
}

func (s *standing) set(asked []Question, about denial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.about = asked, about
}

func (s *standing) get() ([]Question, denial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.about
}

// errRevoked ends a stream whose permission is gone.
func errRevoked() *apierr.Error {
	return apierr.New(apierr.PermissionDenied, reasonPermissionDenied, "you are no longer permitted to do this")
}

// outlive runs a long-lived stream for as long as its token, its session and the permission that admitted it last.
func (p Params) outlive(ctx context.Context, c *call, claims token.Claims, next func(context.Context) error) error {
	expired := apierr.New(apierr.Unauthenticated, token.ReasonExpired, "the access token has expired")
	until, cancel := context.WithTimeoutCause(ctx, claims.ExpiresAt.Sub(p.Now()), expired)
	defer cancel()
	checked, end := context.WithCancelCause(until)
	var checking sync.WaitGroup
	checking.Go(func() { p.recheck(checked, &c.standing, end) })
	err := next(checked)
	err = because(checked, err)
	end(nil)
	checking.Wait()
	if errors.Is(context.Cause(checked), errRevoked()) {
		_, about := c.standing.get()
		c.denied = &about
	}
	return err
}

// recheck ends the stream when it may not go on, and when that cannot be found out (R62).
func (p Params) recheck(ctx context.Context, s *standing, end context.CancelCauseFunc) {
	tick := time.NewTicker(p.Recheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := p.goesOn(ctx, s); err != nil {
			end(err)
			return
		}
	}
}

// goesOn verifies the token again, which may have been revoked, and asks again what admitted the stream, as it is now.
func (p Params) goesOn(ctx context.Context, s *standing) error {
	claims, err := bearer(ctx, p.Verifier)
	if err != nil {
		return err
	}
	asked, _ := s.get()
	if len(asked) == 0 {
		return nil
	}
	allowed, err := ask(request.WithConsistency(ctx, ""), p.Permissions, claims.Subject, asked)
	if err == nil && !slices.Contains(allowed, true) {
		err = errRevoked()
	}
	return err
}

// admittedBy notes by what a message of a stream was admitted.
func (c *call) admittedBy(asked []Question, m proto.Message) {
	if c.policy.LongLived {
		c.standing.set(asked, objectOf(c.policy, m))
	}
}
