package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// databaseURL is what the running program was given: its own role, through its own sidecar.
func databaseURL(t testing.TB, program string) string {
	t.Helper()
	environ, err := plat.Environ(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "GATEHOUSE_POSTGRES_URL":
			return value
		case "GATEHOUSE_POSTGRES_URL_FILE":
			file, err := os.ReadFile(value)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(file))
		}
	}
	t.Fatalf("%s was given no database", program)
	return ""
}

func database(t testing.TB, program string) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(context.Background(), pg.Config{URL: config.NewSecret(databaseURL(t, program))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// A role sees its own schema and nothing of another's.
func TestRolesAreIsolated(t *testing.T) {
	tables := map[string]string{"identity": "users", "auth": "logins", "authz": "commands", "audit": "events"}
	for program, table := range tables {
		pool := database(t, program)
		var n int
		if err := pool.QueryRow(t.Context(), "select count(*) from "+program+"."+table).Scan(&n); err != nil {
			t.Errorf("%s cannot read its own table: %v", program, err)
		}
		for other, table := range tables {
			if other == program {
				continue
			}
			denied(t, pool, "select count(*) from "+other+"."+table)
			denied(t, pool, "create table "+other+".intruder (id int)")
			denied(t, pool, "set role "+other)
		}
		denied(t, pool, "create schema intruder_of_"+program)
		denied(t, pool, "create table public.intruder (id int)")
		denied(t, pool, "create role intruder")
	}
}

// The trail only grows: who serves it can neither change nor remove what is in it, nor take the right to (R72).
func TestTrailIsAppendOnly(t *testing.T) {
	pool := database(t, "audit")
	// PostgreSQL only warns that this grants nothing; what follows proves it.
	if _, err := pool.Exec(t.Context(), "grant update, delete, truncate on audit.events, audit.personal_values to audit"); err != nil {
		t.Error(err)
	}
	for _, sql := range []string{
		"update audit.events set action = action", "delete from audit.events", "truncate audit.events", "drop table audit.events",
		"update audit.personal_values set value = value", "delete from audit.personal_values", "truncate audit.personal_values",
		"alter table audit.events disable trigger all", "set role audit_owner", "create table audit.intruder (id int)",
	} {
		denied(t, pool, sql)
	}
}

func denied(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), sql)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
		t.Errorf("%s: %v, want SQLSTATE 42501 (insufficient_privilege)", sql, err)
	}
}

// Queries go on while Consul changes the database's intentions and while every leaf certificate is renewed under a new root.
func TestDatabaseTrafficSurvivesTheMesh(t *testing.T) {
	client := consul(t)
	pool := database(t, "identity")
	var (
		wg      sync.WaitGroup
		queries atomic.Int64
		stop    = make(chan struct{})
		mu      sync.Mutex
		failed  []error
	)
	fail := func(err error) { mu.Lock(); defer mu.Unlock(); failed = append(failed, err) }
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := pool.Exec(context.Background(), "select pg_sleep(0.02)"); err != nil {
					fail(err)
				}
				queries.Add(1)
			}
		})
	}
	wg.Go(func() { // one statement that spans all of it
		if _, err := pool.Exec(context.Background(), "select pg_sleep(20)"); err != nil {
			fail(fmt.Errorf("long statement: %w", err))
		}
	})
	progress := func(n int64) {
		t.Helper()
		from := queries.Load()
		check.Within(t, 30*time.Second, "queries go on", func() error {
			if done := queries.Load() - from; done < n {
				return fmt.Errorf("%d of %d", done, n)
			}
			return nil
		})
	}
	progress(50)
	restore := withIntentions(t, client, "postgres", func(e *api.ServiceIntentionsConfigEntry) {
		e.Sources = append(e.Sources, &api.SourceIntention{Name: "stranger", Action: api.IntentionActionAllow})
	})
	progress(400)
	restore()
	progress(400)
	rotateRoot(t, client)
	progress(1000)
	close(stop)
	wg.Wait()
	for _, err := range failed {
		t.Errorf("a query failed: %v", err)
	}
	t.Logf("%d queries", queries.Load())
	if err := roundTrip(t); err != nil {
		t.Error(err)
	}
}

// rotateRoot gives Consul's CA a new root; every sidecar gets a new leaf.
func rotateRoot(t testing.TB, client *api.Client) {
	t.Helper()
	activeRoot := func() string {
		roots, _, err := client.Connect().CARoots(nil)
		if err != nil {
			t.Fatal(err)
		}
		return roots.ActiveRootID
	}
	before := activeRoot()
	conf, _, err := client.Connect().CAGetConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	conf.Config["PrivateKeyType"], conf.Config["PrivateKeyBits"] = "ec", 256
	if old, _ := conf.Config["PrivateKey"].(string); old == "" {
		conf.Config["PrivateKeyBits"] = 384 // another key size makes a new root
	}
	if _, err := client.Connect().CASetConfig(conf, nil); err != nil {
		t.Fatalf("rotate the CA: %v", err)
	}
	check.Within(t, 30*time.Second, "a new root is active", func() error {
		if activeRoot() == before {
			return errors.New("the old one still is")
		}
		return nil
	})
}
