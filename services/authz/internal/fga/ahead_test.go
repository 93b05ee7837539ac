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

// R93: what is refused about somebody else's object costs the statements that it costs about one
// that does not exist, groups or not: the time of an answer does not tell which ids there are.
func TestForeignAndUnknownObjectsAreReadAlike(t *testing.T) {
	t.Parallel()
	engine, count := counted(t)
	fgatest.Write(t, engine,
		"user:plain#organization@organization:plain", "organization:plain#platform@platform:gatehouse", "organization:plain#owner@user:owner",
		"user:grouped#organization@organization:grouped", "organization:grouped#platform@platform:gatehouse",
		"organization:grouped#owner@group:a#member", "organization:grouped#admin@group:b#member", "group:a#member@group:c#member",
		"group:b#member@user:owner", "group:c#member@user:owner", "group:c#member@group:a#member",
		"platform:gatehouse#administrator@group:root#member", "group:root#member@user:root", "group:own#member@user:stranger")
	ask(t, engine, "user:stranger", "can_read", "user:plain") // OpenFGA reads the model
	const rounds = 100
	for _, c := range []struct{ name, foreign, unknown string }{
		{"can_read", "user:plain", "user:unknown"}, {"can_read", "user:grouped", "user:unknown"}, {"can_delete", "user:grouped", "user:unknown"},
		{"can_read", "organization:plain", "organization:unknown"}, {"can_read_audit", "organization:grouped", "organization:unknown"},
	} {
		var n [2]int64
		for i, object := range []string{c.foreign, c.unknown} {
			before := count.n.Load()
			for range rounds {
				if ask(t, engine, "user:stranger", c.name, object) {
					t.Errorf("a stranger %s %s", c.name, object)
				}
			}
			n[i] = count.n.Load() - before
		}
		if n[0] != rounds || n[1] != rounds {
			t.Errorf("%s: %s took %d queries, %s %d, want %d", c.name, c.foreign, n[0], c.unknown, n[1], rounds)
		}
	}
	for _, c := range []struct{ subject, name, object string }{
		{"user:owner", "can_delete", "user:grouped"}, {"user:owner", "can_update", "organization:grouped"}, {"user:root", "can_read", "user:grouped"},
	} {
		if !ask(t, engine, c.subject, c.name, c.object) {
			t.Errorf("%s may not %s %s", c.subject, c.name, c.object)
		}
	}
}
