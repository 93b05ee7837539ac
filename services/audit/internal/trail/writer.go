package trail

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
)

// How much one transaction takes, and how long it may take.
const (
	maxGroup      = 4000 // events
	queued        = 64   // batches of all senders that wait
	appendTimeout = 15 * time.Second
	fewEvents     = 256 // a transaction of fewer waits a moment for those who were answered just now
	moment        = time.Millisecond
)

// Writer stores the batches of any number of senders, all that wait in one transaction: while one is made durable the next fills.
//
//	sender ──► queue ──► group ──► Append ──► answers, in the order of the queue
//
// A batch that could not be stored breaks its sender: what the sender queued after it is not stored either, or the order within an object
// would be lost. The sender opens a new stream and sends again what was not acknowledged.
type Writer struct {
	store Appender
	told  func([]Verdict) // after each transaction
	queue chan *Batch
	done  chan struct{}
}

// NewWriter returns a writer; it stores nothing until Run. told hears what became of the entries of each transaction.
func NewWriter(store Appender, told func([]Verdict)) *Writer {
	return &Writer{store: store, told: told, queue: make(chan *Batch, queued), done: make(chan struct{})}
}

// Sender is one stream of batches. Its batches are stored in their order.
type Sender struct {
	writer *Writer
	broken atomic.Bool
}

// Sender returns a new sender.
func (w *Writer) Sender() *Sender { return &Sender{writer: w} }

// Batch is what a sender handed over.
type Batch struct {
	sender  *Sender
	entries []Entry
	answer  chan answer
}

type answer struct {
	verdicts []Verdict
	err      error
}

// Send queues a batch. It waits while the queue is full.
func (s *Sender) Send(ctx context.Context, entries []Entry) (*Batch, error) {
	b := &Batch{sender: s, entries: entries, answer: make(chan answer, 1)}
	if len(entries) == 0 {
		b.answer <- answer{}
		return b, nil
	}
	select {
	case s.writer.queue <- b:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.writer.done:
		return nil, stopping()
	}
}

// Wait returns what became of each entry, once that is durable.
func (b *Batch) Wait(ctx context.Context) ([]Verdict, error) {
	select {
	case a := <-b.answer:
		return a.verdicts, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.sender.writer.done:
		select {
		case a := <-b.answer: // it was answered before the end
			return a.verdicts, a.err
		default:
			return nil, stopping()
		}
	}
}

// Run stores until ctx ends. Call it once.
func (w *Writer) Run(ctx context.Context) {
	defer close(w.done)
	var last round
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-w.queue:
			group := w.group(first, last)
			last = answered(group)
			w.write(ctx, group)
			last.over = time.After(moment)
		}
	}
}

// round is a transaction that was.
type round struct {
	senders map[*Sender]bool // that were answered
	over    <-chan time.Time // after the moment in which they send their next
}

func answered(group []*Batch) round {
	r := round{senders: make(map[*Sender]bool, len(group))}
	for _, b := range group {
		r.senders[b.sender] = true
	}
	return r
}

// group takes what waits already, up to the size of a transaction. Few events wait a moment for the
// senders that were answered last: they are about to send their next, and would otherwise be stored
// in turns with those who wait now, in twice as many transactions. The moment begins with the answer.
func (w *Writer) group(first *Batch, last round) []*Batch {
	var group []*Batch
	size, missing := 0, last.senders
	take := func(b *Batch) {
		group = append(group, b)
		size += len(b.entries)
		delete(missing, b.sender)
	}
	take(first)
	for size < maxGroup {
		select {
		case b := <-w.queue:
			take(b)
			continue
		default:
		}
		if len(missing) == 0 || size >= fewEvents {
			break
		}
		select {
		case b := <-w.queue:
			take(b)
		case <-last.over:
			return group
		}
	}
	return group
}

// write stores a group and answers it.
func (w *Writer) write(ctx context.Context, group []*Batch) {
	var entries []Entry
	whole := group[:0]
	for _, b := range group {
		if b.sender.broken.Load() {
			b.answer <- answer{err: outOfOrder()}
			continue
		}
		whole = append(whole, b)
		entries = append(entries, b.entries...)
	}
	if len(whole) == 0 {
		return
	}
	// What is stored is stored whole, whoever leaves meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendTimeout)
	defer cancel()
	verdicts, err := w.store.Append(ctx, entries)
	rest := verdicts
	for _, b := range whole {
		if err != nil {
			b.sender.broken.Store(true)
			b.answer <- answer{err: err}
			continue
		}
		b.answer <- answer{verdicts: rest[:len(b.entries):len(b.entries)]}
		rest = rest[len(b.entries):]
	}
	if err == nil {
		w.told(verdicts)
	}
}

func stopping() error {
	return apierr.ShuttingDown().Saying("the program is stopping: send again").WithRetryAfter(time.Second)
}

func outOfOrder() error {
	return reason.EarlierBatchFailed().
		WithRetryAfter(time.Second)
}
