// Package fgatest gives tests a relationship engine on a real PostgreSQL. Only tests import it.
package fgatest

import (
	"log/slog"
	"testing"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
)

// New returns a loaded engine on a database of the test's own. It goes with the test.
func New(t testing.TB) *fga.Engine {
	t.Helper()
	return Open(t, Config(t))
}

// Config returns a database of the test's own in which OpenFGA's tables, the store and the model are.
func Config(t testing.TB) pg.Config {
	t.Helper()
	c := pgtest.Config(t, "authz", nil)
	if err := fga.Migrate(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("migrate the relationship engine: %v", err)
	}
	return c
}

// Open returns a loaded engine on a migrated database.
func Open(t testing.TB, c pg.Config) *fga.Engine {
	t.Helper()
	engine, err := fga.Open(t.Context(), fga.Params{
		URL: c.URL, MaxConns: c.MaxConns, MaxConnLifetime: c.MaxConnLifetime, ConnectTimeout: c.ConnectTimeout,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatalf("open the relationship engine: %v", err)
	}
	t.Cleanup(engine.Close)
	if err := engine.Load(t.Context()); err != nil {
		t.Fatalf("load the authorization model: %v", err)
	}
	return engine
}

// Write adds relationships, written "object#relation@subject", any number of them.
func Write(t testing.TB, engine *fga.Engine, relationships ...string) {
	t.Helper()
	var all []relation.Tuple
	for _, text := range relationships {
		tuple, err := relation.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tuple)
	}
	for len(all) > 0 {
		n := min(len(all), relation.MaxTuples)
		if err := engine.Write(t.Context(), all[:n], nil); err != nil {
			t.Fatalf("write relationships: %v", err)
		}
		all = all[n:]
	}
}
