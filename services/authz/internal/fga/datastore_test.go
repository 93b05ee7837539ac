package fga_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"

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

// A branch that is cancelled while its query runs costs no connection: OpenFGA lets the query end by itself.
func TestACancelledReadKeepsItsConnection(t *testing.T) {
	t.Parallel()
	c := fgatest.Config(t)
	engine := fgatest.Open(t, c)
	fgatest.Write(t, engine, "group:g#member@user:a")
	other := pgtest.Open(t, c)
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "lock table authz_fga.tuple in access exclusive mode"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := engine.Iterator(ctx, "group")
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := rows.Next(ctx)
		read <- err
	}()
	for waiting := false; !waiting; {
		err := tx.QueryRow(t.Context(), `select exists (
			select from pg_locks join pg_database on pg_database.oid = database and datname = current_database() -- copies of one template share oids
			where not granted and relation = 'authz_fga.tuple'::regclass)`).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	made := engine.Pool().Stat().NewConnsCount()
	cancel()
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Errorf("the query was cut: %v", err)
	}
	rows.Stop()
	if err := engine.Ready(t.Context()); err != nil || engine.Pool().Stat().NewConnsCount() != made {
		t.Errorf("%d connections, %d before: %v", engine.Pool().Stat().NewConnsCount(), made, err)
	}
}

// A database that does not answer in time must not look like a caller who does not wait: OpenFGA answers those with a part of a list.
func TestASilentDatabaseIsNoContextError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{context.DeadlineExceeded, fmt.Errorf("connect: %w", context.Canceled)} {
		hidden := fga.Opaque(t.Context(), err)
		wantReason(t, hidden, apierr.Unavailable, "DATABASE_UNAVAILABLE")
		if errors.Is(hidden, context.DeadlineExceeded) || errors.Is(hidden, context.Canceled) {
			t.Errorf("%v shows what it is", hidden)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fga.Opaque(gone, context.Canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("the caller is gone: %v", err)
	}
	if err := fga.Opaque(t.Context(), storage.ErrNotFound); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("not found became %v", err)
	}
}
