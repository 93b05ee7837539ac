package fga_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// queries counts what an engine asks the database.
type queries struct{ n atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.n.Add(1)
	return ctx
}

func (*queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// counted returns a loaded engine and its count.
func counted(t *testing.T) (*fga.Engine, *queries) {
	t.Helper()
	c, count := fgatest.Config(t), &queries{}
	engine, err := fga.Open(t.Context(), fga.Params{
		URL: c.URL, MaxConns: c.MaxConns, MaxConnLifetime: c.MaxConnLifetime, ConnectTimeout: c.ConnectTimeout, Log: slog.New(slog.DiscardHandler),
		Tune: func(p *pgxpool.Config) { p.ConnConfig.Tracer = count },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	if err := engine.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return engine, count
}

func ask(t *testing.T, engine *fga.Engine, subject, name, object string) bool {
	t.Helper()
	got, err := engine.Check(t.Context(), subject, []fga.Question{{Relation: name, Object: object}})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

// What a request needs, from a user to its organization to the platform, is one query, whatever the answer.
func TestACheckWithoutGroupsReadsOnce(t *testing.T) {
	t.Parallel()
	engine, count := counted(t)
	fgatest.Write(t, engine, "user:u#organization@organization:o", "organization:o#platform@platform:gatehouse", "organization:o#member@user:u",
		"organization:o#owner@user:owner", "platform:gatehouse#administrator@user:root")
	ask(t, engine, "user:root", "can_read", "user:u") // OpenFGA reads the model
	for _, c := range []struct {
		subject, name, object string
		want                  bool
	}{
		{"user:root", "can_read", "user:u", true},
		{"user:owner", "can_read", "user:u", true},
		{"user:u", "can_read", "user:u", false},
		{"user:u", "can_read", "organization:o", true},
		{"user:root", "can_update", "organization:o", true},
		{"user:root", "can_list_users", "platform:gatehouse", true},
		{"user:u", "can_list_users", "platform:gatehouse", false},
	} {
		const rounds = 50
		before := count.n.Load()
		for range rounds {
			if got := ask(t, engine, c.subject, c.name, c.object); got != c.want {
				t.Errorf("%s %s %s: %t, want %t", c.subject, c.name, c.object, got, c.want)
			}
		}
		// Now and then OpenFGA tries another way, to see whether it is faster.
		if n := count.n.Load() - before; n > rounds*3/2 {
			t.Errorf("%s %s %s took %d queries in %d checks", c.subject, c.name, c.object, n, rounds)
		}
	}
}

// An object with more sets of subjects than are read ahead is answered as well.
func TestACheckThatCannotBeReadAheadReadsByItself(t *testing.T) {
	t.Parallel()
	engine, count := counted(t)
	all := []string{"user:u#organization@organization:o", "group:299#member@user:last"}
	for i := range 300 {
		all = append(all, fmt.Sprintf("organization:o#admin@group:%d#member", i))
	}
	fgatest.Write(t, engine, all...)
	for subject, want := range map[string]bool{"user:last": true, "user:other": false} {
		before := count.n.Load()
		if got := ask(t, engine, subject, "can_read", "user:u"); got != want {
			t.Errorf("%s: %t, want %t", subject, got, want)
		}
		if n := count.n.Load() - before; n < 3 {
			t.Errorf("%s took %d queries: the case is not the one that is meant", subject, n)
		}
	}
}
