package loop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Pauses between two attempts to follow a stream. A longer one would leave whoever follows behind
// after a short fault.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// Stream is a stream of another program that is followed: news with heartbeats between them. Where
// each message carries a cursor, an attempt goes on after the last one that was heard.
//
// Read is one attempt: it opens the stream after the cursor ("" is the beginning) and reads until
// the stream ends. It calls heard for each message when it has done with it, heartbeats included,
// with the message's cursor; a stream without cursors says "". A nil error is an end in order, as
// that of a stream whose token has expired.
type Stream struct {
	Read    func(ctx context.Context, cursor string, heard func(cursor string)) error
	Cursor  string           // to begin after; "" is what the server begins with
	Silence time.Duration    // a stream that is not heard for so long is given up; several heartbeats
	Pause   time.Duration    // the longest before the next attempt; 0 means 1 s
	Told    func(err error)  // hears why an attempt ended, unless in order; nil where nobody asks
	Final   func(error) bool // reports errors that no further attempt can change; nil where none is
}

// Resume follows a stream until ctx ends, which is a nil error, or until an error that is Final. A
// stream that ends or is silent is opened again after a pause, which grows while nothing is heard
// and is random in part, so that the followers of a program that was restarted do not all come back
// at once.
func Resume(ctx context.Context, s Stream) error {
	longest := s.Pause
	if longest <= 0 {
		longest = longestPause
	}
	cursor, next := s.Cursor, min(firstPause, longest)
	for ctx.Err() == nil {
		err := s.attempt(ctx, cursor, func(last string) {
			cursor, next = last, min(firstPause, longest)
		})
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // that it was told to end is not a failure
		case err != nil && s.Final != nil && s.Final(err):
			return err
		case err != nil && s.Told != nil:
			s.Told(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(next/2 + rand.N(next/2+1)): //nolint:gosec // jitter needs no secrecy
		}
		next = min(2*next, longest)
	}
	return nil
}

// attempt reads one stream to its end or until it is silent. heard is called by this goroutine's
// Read only.
func (s Stream) attempt(ctx context.Context, cursor string, heard func(cursor string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := fmt.Errorf("the stream said nothing for %s", s.Silence)
	// A connection that only looks alive would be waited on for ever.
	watchdog := time.AfterFunc(s.Silence, func() { cancel(silent) })
	defer watchdog.Stop()
	err := s.Read(ctx, cursor, func(last string) {
		watchdog.Reset(s.Silence)
		heard(last)
	})
	if err != nil && context.Cause(ctx) == silent { //nolint:errorlint // this very error
		return silent
	}
	return err
}
