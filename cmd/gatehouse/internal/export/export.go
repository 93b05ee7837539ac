// Package export delivers events of the trail to other systems: to a file, or, for as long as it
// runs, to a webhook, a syslog server or a bucket of S3. The command imports it.
//
// What is delivered is remembered in a file after the receiver has acknowledged it, never before:
// an export that dies goes on where the file says, so a receiver may get events twice and misses
// none.
//
//	stream ──► batch ──► receiver ──► acknowledged ──► state file ──► next batch
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export/format"
)

// Batch is what is delivered at once.
type Batch struct {
	First  int64 // number of its first event in this export, from 1
	Events []format.Event
	Lines  [][]byte // of the events, each with its line end
}

// Receiver takes batches.
type Receiver interface {
	// Deliver returns when the receiver has all of the batch and answers for it, as far as its
	// protocol can say so. A batch that failed is delivered again, and may have more or fewer
	// events then. An error that is Final is not tried again.
	Deliver(ctx context.Context, b Batch) error
}

// final is an error that no further attempt can change.
type final struct{ error }

// Unwrap returns the error itself.
func (f final) Unwrap() error { return f.error }

// Final marks an error that no further attempt can change.
func Final(err error) error { return final{err} }

// Source is the stream of events after a cursor. It returns when ctx ends, when it is refused, or
// at the end of what was asked for; each may wait as long as it wants.
type Source func(ctx context.Context, cursor string, each func(raw json.RawMessage, cursor string) error) error

// Export is what is delivered, from where to whom.
type Export struct {
	Source   Source
	Receiver Receiver
	State    *State
	Line     func(format.Event) ([]byte, error)
	Wants    func(format.Event) bool // nil wants all

	Size  int           // the most events of a batch
	Bytes int           // a batch with more bytes is not made larger
	Wait  time.Duration // the longest that the first event of a batch waits for others

	Pause time.Duration           // the first before a batch is delivered again; it doubles, up to a minute
	Told  func(error)             // why a batch is delivered again
	Done  func(Progress Progress) // after each batch
}

// Progress is how far an export is.
type Progress struct {
	Events int64     // delivered, by earlier runs too
	Time   time.Time // of the last event
}

// item is an event, or only a cursor up to which there is none.
type item struct {
	raw    json.RawMessage
	cursor string
}

// Run delivers until ctx ends or the source does.
func (x *Export) Run(ctx context.Context) error {
	if err := x.State.Save(); err != nil { // before anybody gets something, and to say early that it cannot be kept
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	items := make(chan item, x.Size)
	var refused error
	go func() {
		defer close(items)
		refused = x.Source(ctx, x.State.Cursor, func(raw json.RawMessage, cursor string) error {
			select {
			case items <- item{raw, cursor}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	for ended := false; !ended; {
		var b Batch
		var cursor string
		var err error
		if b, cursor, ended, err = x.collect(items); err != nil {
			return err
		}
		if ended && ctx.Err() != nil {
			return nil // what is collected is not lost: the state does not know of it
		}
		if err := x.deliver(ctx, b, cursor); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return refused
}

// collect waits for events, and for more of them until the batch is full or the first has waited
// long enough.
func (x *Export) collect(items <-chan item) (b Batch, cursor string, ended bool, err error) {
	b.First = x.State.Events + 1
	var full <-chan time.Time
	for size := 0; len(b.Events) < x.Size && size < x.Bytes; {
		select {
		case i, ok := <-items:
			if !ok {
				return b, cursor, true, nil
			}
			n, err := x.add(&b, i.raw)
			if err != nil {
				return b, cursor, false, err
			}
			size, cursor = size+n, i.cursor
			if full == nil && len(b.Events) > 0 {
				full = time.After(x.Wait)
			}
		case <-full:
			return b, cursor, false, nil
		}
	}
	return b, cursor, false, nil
}

// add puts an event into a batch, if it is wanted, and returns the bytes of its line.
func (x *Export) add(b *Batch, raw json.RawMessage) (int, error) {
	if raw == nil {
		return 0, nil
	}
	e, err := format.Decode(raw)
	if err != nil || x.Wants != nil && !x.Wants(e) {
		return 0, err
	}
	line, err := x.Line(e)
	if err != nil {
		return 0, err
	}
	b.Events, b.Lines = append(b.Events, e), append(b.Lines, line)
	return len(line), nil
}

const longestPause = time.Minute

// deliver delivers a batch until it is acknowledged, and remembers that. It returns nil without
// having done so when ctx ends.
func (x *Export) deliver(ctx context.Context, b Batch, cursor string) error {
	for pause := x.Pause; len(b.Events) > 0; pause = min(2*pause, longestPause) {
		err := x.Receiver.Deliver(ctx, b)
		var stop final
		switch {
		case err == nil:
			return x.delivered(b, cursor)
		case ctx.Err() != nil:
			return nil //nolint:nilerr // that it was told to end is not a failure
		case errors.As(err, &stop):
			return fmt.Errorf("%w; %d events are delivered, and the next run goes on after them", stop.error, x.State.Events)
		}
		x.Told(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
	if cursor == "" || cursor == x.State.Cursor {
		return nil
	}
	x.State.Cursor = cursor
	return x.State.Save()
}

func (x *Export) delivered(b Batch, cursor string) error {
	last := b.Events[len(b.Events)-1]
	x.State.Cursor, x.State.Last, x.State.Time = cursor, last.ID, last.Time
	x.State.Events += int64(len(b.Events))
	if err := x.State.Save(); err != nil {
		return err
	}
	x.Done(Progress{Events: x.State.Events, Time: last.Time})
	return nil
}
