// Package postgrestest gives tests instances of Authz's domain over one real database: several at once, and again after a crash. Only
// tests import it.
package postgrestest

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Database returns a database of the test's own with both schemas.
func Database(t testing.TB) pg.Config {
	t.Helper()
	c := fgatest.Config(t)
	if err := pg.Migrate(t.Context(), c, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("migrate the command log: %v", err)
	}
	if err := postgres.MigrateFence(t.Context(), c, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatalf("fence the relationships: %v", err)
	}
	return c
}

// Over is a lease that has run out when it begins: no test waits for one.
const Over = -time.Second

// Options say what differs from a plain instance.
type Options struct {
	Lease time.Duration // 0 means relationship.Lease
	Step  func(Step)    // called at each step of a write, in the process
	// Engine sees the engine that writes; nil takes it as it is.
	Engine func(*fga.Engine) relationship.Engine
}

// Instance is the domain over a store and an engine of its own.
type Instance struct {
	*relationship.Service
	Store  *postgres.Commands
	Engine *fga.Engine
	Pool   *pgxpool.Pool
	Outbox *outbox.Outbox
}

// Open makes an instance on a migrated database; it goes with the test.
func Open(t testing.TB, c pg.Config, o Options) *Instance {
	t.Helper()
	if o.Lease == 0 {
		o.Lease = relationship.Lease
	}
	if o.Step == nil {
		o.Step = func(Step) {}
	}
	pool, err := pg.OpenTuned(t.Context(), c, marked{o.Step}.tune)
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(pool.Close)
	log := slog.New(slog.DiscardHandler)
	box := outboxtest.New(t, pool, migrations.Schema)
	opened, err := fga.Open(t.Context(), fga.Params{URL: c.URL, MaxConns: 10, Log: log, Tune: postgres.Fence})
	if err != nil {
		t.Fatalf("open the engine: %v", err)
	}
	t.Cleanup(opened.Close)
	if err := opened.Load(t.Context()); err != nil {
		t.Fatalf("load the model: %v", err)
	}
	i := &Instance{Engine: opened, Pool: pool, Outbox: box}
	i.Store = postgres.NewCommands(postgres.Params{Pool: pool, Outbox: box, Lease: o.Lease})
	var writer relationship.Engine = opened
	if o.Engine != nil {
		writer = o.Engine(opened)
	}
	i.Service = relationship.NewService(relationship.Params{
		Store: store{i.Store, o.Step}, Engine: engine{writer, o.Step}, Now: time.Now, NewID: outboxtest.NewID, Random: rand.Reader,
	})
	watching, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { i.Watch(watching) })
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return i
}

// Draft returns a context with the draft of an event, as the chain gives it to a program's call.
func Draft(ctx context.Context, program string) context.Context {
	return event.NewContext(ctx, event.Event{
		Source: "authz", Caller: program, Action: "authz.relationships_written", Method: "gatehouse.authz.v1.AuthzService/WriteRelationships",
		Outcome: event.Success, Actor: event.Actor{Type: event.Service, ID: program}, RequestID: "test-request",
	})
}

// Events returns the audit rows in the order of their positions.
func (i *Instance) Events(t testing.TB) []event.Event {
	t.Helper()
	return outboxtest.Events(t, i.Pool, migrations.Schema)
}

// Has reports whether a relationship, "object#relation@subject", is there.
func (i *Instance) Has(t testing.TB, text string) bool {
	t.Helper()
	exists, err := i.Engine.Exists(t.Context(), Tuple(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return exists
}

// Locks returns the objects that are locked.
func (i *Instance) Locks(t testing.TB) []string {
	t.Helper()
	rows, err := i.Pool.Query(t.Context(), `select object from authz.object_locks order by object`)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// Tuple reads "object#relation@subject".
func Tuple(t testing.TB, text string) relation.Tuple {
	t.Helper()
	tuple, err := relation.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return tuple
}

// Tuples reads several.
func Tuples(t testing.TB, texts ...string) []relation.Tuple {
	t.Helper()
	all := make([]relation.Tuple, len(texts))
	for n, text := range texts {
		all[n] = Tuple(t, text)
	}
	return slices.Clip(all)
}

// FencedConn returns a connection as the engine has it while it writes for a command; it goes with the test.
func (i *Instance) FencedConn(t testing.TB, command string) (*pgx.Conn, error) {
	t.Helper()
	c := i.Pool.Config()
	postgres.Fence(c)
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	conn, err := pool.Acquire(relationship.WithCommand(t.Context(), command))
	if err != nil {
		return nil, err
	}
	t.Cleanup(conn.Release)
	return conn.Conn(), nil
}
