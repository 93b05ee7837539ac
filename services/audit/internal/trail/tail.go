package trail

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

const heartbeat = 5 * time.Second

// Send hands events to whoever tails, and the position up to which there are no others; no events are a sign of life.
type Send func(events []Stored, upTo int64) error

// Tail sends matching events by position until ctx ends, from after a position or, without one, from now on. It says at once where it
// begins. First it reads what is stored; once that is near its end it follows the feed:
//
//	after ──► Range, Range, … ──► Follow at `from` ──► Range up to from ──► what the feed tells
func (s *Service) Tail(ctx context.Context, f Filter, after *int64, send Send) error {
	head, err := s.reader.Head(ctx)
	if err != nil {
		return err
	}
	t := &tail{service: s, filter: f, position: head, send: send, beat: time.NewTicker(s.heartbeat)}
	defer t.beat.Stop()
	if after != nil {
		if *after < 0 || *after > head {
			return apierr.InvalidArgumentError().Saying("the cursor is not one of this trail").
				WithField("cursor", "cursor", "must be the cursor of a message of an earlier stream; leave it out to begin now")
		}
		t.position = *after
	}
	if err := send(nil, t.position); err != nil {
		return err
	}
	for head-t.position > page {
		if err := t.catchUp(ctx, head); err != nil {
			return err
		}
		if head, err = s.reader.Head(ctx); err != nil {
			return err
		}
	}
	return t.follow(ctx)
}

// tail is one stream.
type tail struct {
	service  *Service
	filter   Filter
	position int64 // everything up to it was sent
	send     Send
	beat     *time.Ticker
}

// catchUp sends what is stored up to the position.
func (t *tail) catchUp(ctx context.Context, upTo int64) error {
	for t.position < upTo {
		events, reached, err := t.service.reader.Range(ctx, t.filter, t.position, upTo, page)
		if err != nil {
			return err
		}
		if err := t.tell(events, reached); err != nil {
			return err
		}
	}
	return nil
}

// tell sends events, or a sign of life when one is due.
func (t *tail) tell(events []Stored, upTo int64) error {
	t.position = upTo
	if len(events) > 0 {
		return t.send(events, upTo)
	}
	select {
	case <-t.beat.C:
		return t.send(nil, upTo)
	default:
		return nil
	}
}

// follow sends what the feed tells.
func (t *tail) follow(ctx context.Context) error {
	follower, from, stop, err := t.service.feed.Follow(ctx, t.filter)
	if err != nil {
		return err
	}
	defer stop()
	if err := t.catchUp(ctx, from); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, ok := <-follower.Ready():
			if !ok {
				return tooSlow()
			}
			events, upTo := follower.Take()
			if len(events) > 0 {
				if err := t.send(events, upTo); err != nil {
					return err
				}
			}
		case <-t.beat.C:
			events, upTo := follower.Take()
			if err := t.send(events, upTo); err != nil {
				return err
			}
		}
	}
}
