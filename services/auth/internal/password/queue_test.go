package password

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// length is how many wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting
}

// arrivals are requests that wait in a queue whose slots are all taken.
type arrivals struct {
	*queue

	order chan string
	wait  sync.WaitGroup
}

func busy(t *testing.T, places int) *arrivals {
	t.Helper()
	a := &arrivals{queue: newQueue(1, places), order: make(chan string, 1000)}
	if err := a.acquire(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	return a
}

// arrive has a request wait, which notes how it was served, by its name or "not " and its name.
func (a *arrivals) arrive(ctx context.Context, name, address string) {
	entered := a.length()
	a.wait.Go(func() {
		err := a.acquire(ctx, address)
		if err == nil {
			a.order <- name
			a.release()
			return
		}
		a.order <- "not " + name
	})
	for a.length() == entered && len(a.order) == 0 {
		runtime.Gosched()
	}
}

// served lets all go and returns the order in which they were.
func (a *arrivals) served() []string {
	a.release()
	a.wait.Wait()
	close(a.order)
	return slices.Collect(func(yield func(string) bool) {
		for name := range a.order {
			if !yield(name) {
				return
			}
		}
	})
}

// Twenty requests of one address delay the first of another by one of them, not by twenty.
func TestAddressesTakeTurns(t *testing.T) {
	q := busy(t, 100)
	for i := range 20 {
		q.arrive(t.Context(), fmt.Sprint("flood ", i), "192.0.2.1")
	}
	q.arrive(t.Context(), "honest", "192.0.2.2")
	q.arrive(t.Context(), "honest again", "192.0.2.2")
	got := q.served()
	if want := []string{"flood 0", "honest", "flood 1", "honest again", "flood 2"}; !slices.Equal(got[:5], want) || len(got) != 22 {
		t.Fatalf("%q, want %q first of 22", got, want)
	}
}

// When all places are taken, the address with the most of them gives one up.
func TestAFloodKeepsNobodyOutOfTheQueue(t *testing.T) {
	q := busy(t, 8)
	for i := range 8 {
		q.arrive(t.Context(), fmt.Sprint("flood ", i), fmt.Sprintf("192.0.2.%d", 1+i%4))
	}
	if _, err := q.enter("192.0.2.1"); !errors.Is(err, reason.SignInOverload()) {
		t.Fatalf("one more of the flood: %v", err)
	}
	w, err := q.enter("198.51.100.7")
	if err != nil {
		t.Fatal(err)
	}
	if out := <-q.order; out != "not flood 4" {
		t.Fatalf("%q made room, want the newest of a longest lane", out)
	}
	if n := q.length(); n != 8 || !q.leave("198.51.100.7", w) {
		t.Fatalf("%d wait", n)
	}
	if got := q.served(); len(got) != 7 {
		t.Fatalf("%q", got)
	}
}

// Requests that end while they wait, or in the moment of their turn, lose no slot.
func TestNoSlotIsLost(t *testing.T) {
	q := newQueue(2, 50)
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				go cancel()
			}
			if q.acquire(ctx, fmt.Sprint(i%7)) == nil {
				runtime.Gosched()
				q.release()
			}
		})
	}
	all.Wait()
	if q.free != 2 || q.waiting != 0 || len(q.lanes) != 0 || len(q.turns) != 0 {
		t.Fatalf("%+v", q)
	}
}
