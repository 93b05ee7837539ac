package trail_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// gate is a store that waits for the test before each transaction, and answers what the test says.
type gate struct {
	enter  chan []trail.Entry
	answer chan error
}

func newGate() gate { return gate{enter: make(chan []trail.Entry), answer: make(chan error)} }

// Append keeps everything, if the test wants it.
func (g gate) Append(ctx context.Context, entries []trail.Entry) ([]trail.Verdict, error) {
	select {
	case g.enter <- entries:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case err := <-g.answer:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done(): // the test has failed
		return nil, ctx.Err()
	}
	return slices.Repeat([]trail.Verdict{trail.Kept}, len(entries)), nil
}

func running(t *testing.T, store trail.Appender) *trail.Writer {
	t.Helper()
	w := trail.NewWriter(store, func([]trail.Verdict) {})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return w
}

func send(t *testing.T, s *trail.Sender, n int) *trail.Batch {
	t.Helper()
	entries := make([]trail.Entry, n)
	for i := range entries {
		entries[i] = trailtest.Entry(t, trailtest.Event())
	}
	b, err := s.Send(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What waits while a transaction is made durable is one transaction afterwards; everybody gets the verdicts of their own entries.
func TestWaitingBatchesAreStoredTogether(t *testing.T) {
	t.Parallel()
	g := newGate()
	w := running(t, g)
	one, other := w.Sender(), w.Sender()
	first := send(t, one, 1)
	if n := len(<-g.enter); n != 1 {
		t.Fatalf("the first transaction has %d entries", n)
	}
	second, third := send(t, one, 2), send(t, other, 3)
	g.answer <- nil
	if n := len(<-g.enter); n != 5 {
		t.Fatalf("the second transaction has %d entries", n)
	}
	g.answer <- nil
	for i, b := range []*trail.Batch{first, second, third} {
		verdicts, err := b.Wait(t.Context())
		if err != nil || len(verdicts) != i+1 {
			t.Errorf("batch %d: %v, %v", i, verdicts, err)
		}
	}
}

// After a batch that was not stored nothing of its sender is, or a repetition would come after what happened later; other senders go on.
func TestAFailureBreaksItsSenderAlone(t *testing.T) {
	t.Parallel()
	g := newGate()
	w := running(t, g)
	one, other := w.Sender(), w.Sender()
	failed := send(t, one, 1)
	<-g.enter
	later, kept := send(t, one, 1), send(t, other, 2)
	g.answer <- errors.New("down")
	if n := len(<-g.enter); n != 2 {
		t.Fatalf("%d entries are stored after the failure, want those of the other sender", n)
	}
	g.answer <- nil
	for _, b := range []*trail.Batch{failed, later} {
		if verdicts, err := b.Wait(t.Context()); err == nil {
			t.Errorf("acknowledged: %v", verdicts)
		}
	}
	if _, err := kept.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNobodyWaitsForAWriterThatStopped(t *testing.T) {
	t.Parallel()
	w := trail.NewWriter(newGate(), func([]trail.Verdict) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.Run(ctx)
	entries := []trail.Entry{trailtest.Entry(t, trailtest.Event())}
	for range 200 { // more than the queue takes
		b, err := w.Sender().Send(t.Context(), entries)
		if err != nil {
			continue
		}
		if _, err := b.Wait(t.Context()); err == nil {
			t.Fatal("a batch is acknowledged that was never stored")
		}
	}
}

// Senders of single events that were answered a moment ago are in the next transaction, not in the
// one after it.
func TestWhoWasAnsweredIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		w := running(t, g)
		one, other := w.Sender(), w.Sender()
		first := send(t, one, 1)
		<-g.enter
		send(t, other, 1)
		<-time.After(8 * time.Millisecond) // a commit
		g.answer <- nil
		_, err := first.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(500 * time.Microsecond) // the way to the sender and back
		send(t, one, 1)
		if n := len(<-g.enter); n != 2 {
			t.Errorf("%d entries are stored together, want 2", n)
		}
		g.answer <- nil
	})
}

// Nobody waits for long for who has nothing more to send, nor at all alone.
func TestNobodyIsWaitedForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		w := running(t, g)
		one, other := w.Sender(), w.Sender()
		send(t, one, 1)
		<-g.enter
		send(t, other, 1)
		<-time.After(time.Second)
		g.answer <- nil
		answered := time.Now()
		<-g.enter
		if waited := time.Since(answered); waited > time.Millisecond {
			t.Errorf("the second sender waited %s", waited)
		}
		g.answer <- nil
		<-time.After(time.Second)
		alone := time.Now()
		send(t, other, 1)
		<-g.enter
		if waited := time.Since(alone); waited > 0 {
			t.Errorf("who is alone waited %s", waited)
		}
		g.answer <- nil
	})
}
