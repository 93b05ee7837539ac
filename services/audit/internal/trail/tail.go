package trail

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

const heartbeat = 5 * time.Second

// Send hands events to whoever tails, and the position up to which there are no others; no events are a sign of life.
type Send func(events []Stored, upTo int64) error

// Tail sends matching events by position until ctx ends: from after a position; without one, from
// the first that the filter's Since lets through; without that, from now on. It says at once where
// it begins. First it reads what is stored; once that is near its end it follows the feed:
//
//	after ──► Range, Range, … ──► Follow at `from` ──► Range up to from ──► what the feed tells
func (s *Service) Tail(ctx context.Context, f Filter, after *int64, send Send) error {
	t, head, err := s.begin(ctx, f, after, send)
	if err != nil {
		return err
	}
	defer t.beat.Stop()
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

// Stored is Tail up to what is stored as it begins: then it ends.
func (s *Service) Stored(ctx context.Context, f Filter, after *int64, send Send) error {
	t, head, err := s.begin(ctx, f, after, send)
	if err != nil {
		return err
	}
	defer t.beat.Stop()
	return t.catchUp(ctx, head)
}

// begin says where the stream begins. Head is the last position of the trail.
func (s *Service) begin(ctx context.Context, f Filter, after *int64, send Send) (t *tail, head int64, err error) {
	if head, err = s.reader.Head(ctx); err != nil {
		return nil, 0, err
	}
	position := head
	switch {
	case after == nil && !f.Since.IsZero():
		if position, err = s.reader.Start(ctx, f.Since); err != nil {
			return nil, 0, err
		}
		position = min(position, head)
	case after != nil:
		if *after < 0 || *after > head {
			return nil, 0, apierr.InvalidArgumentError().Saying("the cursor is not one of this trail").
				WithField("cursor", "cursor", "must be the cursor of a message of an earlier stream; leave it out to begin now")
		}
		position = *after
	}
	if err := send(nil, position); err != nil {
		return nil, 0, err
	}
	return &tail{service: s, filter: f, position: position, send: send, beat: time.NewTicker(s.heartbeat)}, head, nil
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
