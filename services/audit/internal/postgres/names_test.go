package postgres

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// words counts the rows of audit.names.
func words(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	check.NoError(t, pool.QueryRow(t.Context(), "select count(*) from audit.names").Scan(&n))
	return n
}

func finds(t *testing.T, s *Events, text string, want int) {
	t.Helper()
	found, _, err := s.Search(t.Context(), trail.Query{Filter: trail.Filter{Search: trail.Terms(text)}, Limit: 10})
	if err != nil || len(found) != want {
		t.Errorf("%q finds %d events, %v; want %d", text, len(found), err, want)
	}
}

// What is erased is found no more, and no word of it is left.
func TestErasureIsOfTheWordsToo(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	store, owned := NewEvents(pgtest.Open(t, serving)), pgtest.Open(t, owner)
	trailtest.Fill(t, store, 2, trailtest.Named("user.email", "ada@example.com", "user.display_name", "Ada Lovelace"))
	check.NoError(t, store.BringNames(t.Context()))
	finds(t, store, "ada love", 2)
	_, err := owned.Exec(t.Context(), "delete from audit.personal_values where position = 1 and field = 'user.display_name'")
	check.NoError(t, err)
	finds(t, store, "love", 1)
	finds(t, store, "ada@example.com", 2)
	_, err = owned.Exec(t.Context(), "delete from audit.personal_values")
	check.NoError(t, err)
	finds(t, store, "ada", 0)
	if n := words(t, owned); n != 0 {
		t.Errorf("%d words are left", n)
	}
}

// A value that is erased while its words are being brought in has none afterwards, whichever ends
// first.
func TestErasureWaitsForWhoeverBringsNamesIn(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	served, owned := pgtest.Open(t, serving), pgtest.Open(t, owner)
	store := NewEvents(served)
	trailtest.Fill(t, store, 1, trailtest.Named("user.email", "ada@example.com"))
	erased := make(chan error, 1)
	check.NoError(t, pg.InTx(t.Context(), served, func(tx pgx.Tx) error {
		p, err := takeProgress(t.Context(), tx)
		check.NoError(t, err)
		rows, latest, err := wordsBetween(t.Context(), tx, 0, 1)
		check.NoError(t, err)
		go func() {
			_, err := owned.Exec(context.WithoutCancel(t.Context()), "delete from audit.personal_values")
			erased <- err
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for waiting := 0; waiting == 0; {
			check.NoError(t, owned.QueryRow(ctx, `select count(*) from pg_stat_activity
				where datname = current_database() and wait_event_type = 'Lock' and query like 'delete%'`).Scan(&waiting))
		}
		check.NoError(t, store.BringNames(ctx)) // another instance does nothing meanwhile
		check.NoError(t, copyNames(t.Context(), tx, rows))
		return p.moveTo(t.Context(), tx, 1, latest)
	}))
	check.NoError(t, <-erased)
	if n := words(t, owned); n != 0 {
		t.Errorf("%d words are left", n)
	}
	finds(t, store, "ada", 0)
}

// What was stored before there were searches is brought in step by step, from where the last call
// was ended; until then a search says that it cannot tell.
func TestOldNamesAreBroughtIn(t *testing.T) {
	t.Parallel()
	serving, owner := pgtest.Split(t, migrations.Schema, pgtest.Before(t, migrations.Files, "017_create_names.sql"))
	store := NewEvents(pgtest.Open(t, serving))
	trailtest.Fill(t, store, 2, trailtest.Named("user.email", "ada@example.com"))
	trailtest.Fill(t, store, 3*namesStep)
	check.NoError(t, pg.Migrate(t.Context(), owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)))
	store.mostBehind = 100
	ready := func() bool {
		_, _, err := store.Search(t.Context(), trail.Query{Filter: trail.Filter{Search: []string{"ada"}}, Limit: 10})
		return err == nil
	}
	head, err := store.Head(t.Context())
	check.NoError(t, err)
	for step, more := range []bool{true, true, true, false} {
		if ready() != !more { // what is left for the last step is looked through
			t.Fatalf("before step %d a search is ready: %t", step, more)
		}
		got, err := store.bringNames(t.Context(), head)
		if err != nil || got != more {
			t.Fatalf("step %d: more is %t, %v", step, got, err)
		}
	}
	finds(t, store, "ada", 2)
}

// Where a term leads to too many, the events are looked through, and nothing is lost.
func TestSearchesForWhatIsFrequent(t *testing.T) {
	t.Parallel()
	serving, _ := pgtest.Split(t, migrations.Schema, migrations.Files)
	store := NewEvents(pgtest.Open(t, serving))
	store.mostHits = 0
	trailtest.Searches(t, store)
}
