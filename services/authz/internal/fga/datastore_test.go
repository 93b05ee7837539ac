package fga_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/openfga/openfga/pkg/storage"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// OpenFGA stops iterators that another goroutine still reads: a query after the stop would keep its connection, and Close would wait
// for it for ever.
func TestAStoppedIteratorTakesNoConnection(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	fgatest.Write(t, engine, "group:g#member@user:a", "group:g#member@user:b")
	for _, rowsBefore := range []int{0, 1, 2} {
		rows, err := engine.Iterator(t.Context(), "group")
		if err != nil {
			t.Fatal(err)
		}
		for range rowsBefore {
			if _, err := rows.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		rows.Stop()
		if _, err := rows.Next(t.Context()); !errors.Is(err, storage.ErrIteratorDone) {
			t.Errorf("next after the stop: %v", err)
		}
		if _, err := rows.Head(t.Context()); !errors.Is(err, storage.ErrIteratorDone) {
			t.Errorf("head after the stop: %v", err)
		}
		if n := engine.Pool().Stat().AcquiredConns(); n != 0 {
			t.Errorf("%d connections are held after %d rows", n, rowsBefore)
		}
	}
}

// A branch that is cancelled between two rows costs no connection.
func TestACancelledReadKeepsItsConnectionWhole(t *testing.T) {
	t.Parallel()
	engine := fgatest.New(t)
	fgatest.Write(t, engine, "group:g#member@user:a", "group:g#member@user:b")
	made := engine.Pool().Stat().NewConnsCount()
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		rows, err := engine.Iterator(ctx, "group")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := rows.Next(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if _, err := rows.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller is gone: %v", err)
		}
		rows.Stop()
	}
	if more := engine.Pool().Stat().NewConnsCount() - made; more > 1 {
		t.Errorf("%d connections were made anew", more)
	}
}

// A database that does not answer in time must not look like a caller who does not wait: OpenFGA answers those with a part of a list.
func TestASilentDatabaseIsNoContextError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{context.DeadlineExceeded, fmt.Errorf("connect: %w", context.Canceled)} {
		hidden := fga.Opaque(err)
		wantReason(t, hidden, apierr.Unavailable, "DATABASE_UNAVAILABLE")
		if errors.Is(hidden, context.DeadlineExceeded) || errors.Is(hidden, context.Canceled) {
			t.Errorf("%v shows what it is", hidden)
		}
	}
	if err := fga.Opaque(storage.ErrNotFound); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("not found became %v", err)
	}
}
