package access

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/token"
)

// DefaultRecheck is how often a stream proves again that it may go on. Its token is verified each
// time; its permission is asked for when something changed that may concern it, once a minute, and
// each time while Changes is silent. The promise that what is revoked is gone within 5 s (R63) adds
// up of this, of the silence that may go unnoticed and of the time of a question.
const DefaultRecheck = 3 * time.Second

// Parts of the 5 s beside DefaultRecheck.
const (
	silence    = time.Second // Changes is told twice a second
	answerTime = time.Second
)

// Standing is what a stream was admitted by. The zero Standing needs no permission. Safe for
// concurrent use.
type Standing struct {
	mu    sync.Mutex
	asked []Question // nil where no permission was needed
	about Object
	fresh bool // it was set since renewed was called
}

// watched is a stream whose right to go on is looked at.
type watched struct {
	subject   string // "user:…"
	standing  *Standing
	concerned atomic.Bool // by something that changed since it asked
}

// Set notes what the last message was admitted by, and what it is about.
func (s *Standing) Set(asked []Question, about Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked, s.about, s.fresh = asked, about, true
}

// renewed reports whether Set was called since the last renewed: a change that was told between the
// question and Set was not looked at for it.
func (s *Standing) renewed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.fresh = false }()
	return s.fresh
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
	w := &watched{subject: relation.User(claims.Subject), standing: s}
	if g.Changes != nil { // before the first question: what changes after it concerns the stream
		g.Changes.join(w)
		defer g.Changes.leave(w)
	}
	stop := g.recheck(checked, w, end)
	err = next(checked)
	var cause *apierr.Error
	if err != nil && checked.Err() != nil && errors.As(context.Cause(checked), &cause) {
		err = cause // it is us who ended the stream
	}
	end(nil)
	stop()
	if errors.Is(context.Cause(checked), errRevoked()) {
		_, about := s.get()
		denied = &about
	}
	return denied, err
}

// recheck ends the stream with the reason why it may not go on, or that this cannot be found out
// (R62). Between its turns there is a timer and no goroutine: ten thousand of them would hold their
// stacks. stop waits for a turn that goes on; ctx must have ended before.
func (g Guard) recheck(ctx context.Context, w *watched, end context.CancelCauseFunc) (stop func()) {
	turns := g.turns()
	round := turns.round(g.Now())
	var turn sync.Mutex
	turn.Lock() // until there is a timer
	defer turn.Unlock()
	var next *time.Timer
	next = time.AfterFunc(turns.wait(g.Now()), func() {
		turn.Lock()
		defer turn.Unlock()
		if ctx.Err() != nil {
			return
		}
		// The questions of the round come at the stream's own place in it, whatever it asked
		// between.
		now := turns.round(g.Now())
		if err := g.revalidate(ctx, w, now != round); err != nil {
			end(err)
			return
		}
		round = now
		next.Reset(turns.wait(g.Now()))
	})
	return func() {
		turn.Lock()
		defer turn.Unlock()
		next.Stop()
	}
}

// turns are random where nobody tells of changes.
func (g Guard) turns() turns {
	if g.Changes == nil {
		return turns{every: g.Recheck, first: g.Now().Add(-rand.N(g.Recheck))} //nolint:gosec // jitter needs no secrecy
	}
	return g.Changes.spread.next(g.Recheck)
}

// revalidate verifies the token again, which may have been revoked, and asks again what admitted
// the stream, as it is now, where that may be another answer.
func (g Guard) revalidate(ctx context.Context, w *watched, anyway bool) (err error) {
	defer apierr.Recover(&err)
	claims, err := g.Bearer(ctx)
	if err != nil {
		return err
	}
	// Before the question: what changes while it is asked is another reason.
	concerned, renewed := w.concerned.Swap(false), w.standing.renewed()
	asked, _ := w.standing.get()
	if len(asked) == 0 || !anyway && !concerned && !renewed && g.Changes != nil && !g.Changes.silent(silence) {
		return nil
	}
	until, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	allowed, err := Ask(request.WithConsistency(until, ""), g.Permissions, claims.Subject, asked)
	if err == nil && !slices.Contains(allowed, true) {
		err = errRevoked()
	}
	return err
}
