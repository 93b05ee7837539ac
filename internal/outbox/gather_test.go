package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/outbox"
)

// What is committed while a relay gathers goes in one batch, and a full batch is followed at once.
func TestRelayGathersAfterABatchThatWasNotFull(t *testing.T) {
	pool, o := open(t)
	r := newReceiver()
	gathering, goOn := make(chan struct{}), make(chan struct{})
	run(t, o, nil, outbox.Route{Topic: "letters", Deliver: r.deliver, Gather: func(ctx context.Context) {
		select {
		case gathering <- struct{}{}:
			select {
			case <-goOn:
			case <-ctx.Done():
			}
		case <-ctx.Done():
		}
	}})
	gathers := func() {
		t.Helper()
		select {
		case <-gathering:
		case <-time.After(30 * time.Second):
			t.Fatalf("after 30 s the relay does not gather; there were batches of %v", r.sizes)
		}
	}
	add(t, o, "letters", "first")
	gathers()
	add(t, o, "letters", "second")
	add(t, o, "letters", "third")
	if got := r.got(); !slices.Equal(got, []string{"first"}) {
		t.Fatalf("%q arrived while the relay gathers, want the first alone", got)
	}
	var many []string
	for i := range 500 {
		many = append(many, fmt.Sprint(i))
	}
	add(t, o, "letters", many...)
	goOn <- struct{}{}
	gathers() // after a full batch, which is not gathered after, and the rest
	if want := []int{1, 500, 2}; !slices.Equal(r.sizes, want) {
		t.Errorf("batches of %v, want %v", r.sizes, want)
	}
	goOn <- struct{}{}
	emptied(t, pool)
}
