// Package check has the assertions that every test needs: no error, a field that is refused, what
// happens by itself in the end, and what succeeds once. Only tests import it.
package check

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// NoError ends the test when there is an error.
func NoError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// InvalidField ends the test unless err is INVALID_ARGUMENT with exactly one violation, of the
// field at path by rule.
func InvalidField(t testing.TB, err error, path, rule string) {
	t.Helper()
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != apierr.InvalidArgument {
		t.Fatalf("got %v, want INVALID_ARGUMENT", err)
	}
	if len(e.Fields) != 1 || e.Fields[0].Path != path || e.Fields[0].Rule != rule || e.Fields[0].Description == "" {
		t.Fatalf("got violations %+v, want one of %s by %s", e.Fields, path, rule)
	}
}

// patience is how long Eventually waits; what tests wait for takes far less.
const patience = 30 * time.Second

var errNotYet = errors.New("the condition does not hold")

// Eventually polls until the condition holds.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	poll(t, 10*time.Millisecond, patience, what, func() error {
		if condition() {
			return nil
		}
		return errNotYet
	})
}

// Within polls until try returns nil. When that takes longer than limit the test ends with what was
// waited for and the last error.
func Within(t testing.TB, limit time.Duration, what string, try func() error) {
	t.Helper()
	poll(t, 50*time.Millisecond, limit, what, try)
}

func poll(t testing.TB, every, limit time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}

// OneOf calls try n times at the same moment, with its number from 0. The test ends unless one call
// succeeds and every other one fails with lost.
func OneOf(t testing.TB, n int, lost error, try func(i int) error) {
	t.Helper()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { errs[i] = try(i) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, lost):
			t.Fatal(err)
		}
	}
	if won != 1 {
		t.Fatalf("%d of %d succeeded, want one", won, n)
	}
}
