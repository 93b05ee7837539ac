package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// roleURL is the database as a role reaches it; audit_owner is the one that owns what audit serves.
func roleURL(t *testing.T, role string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(plat.State, "secrets", "postgres-"+role+".url"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(raw))
}

// migrates runs a program's migration as `up` does.
func migrates(t *testing.T, program string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	owner := program
	if program == "audit" {
		owner = "audit_owner"
	}
	environ, err := plat.Environ(program)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(plat.Bin, program), "migrate")
	cmd.Env = append(slices.DeleteFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, "GATEHOUSE_POSTGRES_URL") }),
		"GATEHOUSE_POSTGRES_URL="+roleURL(t, owner))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s migrate: %w: %s", program, err, out)
	}
	return nil
}

// R86: a role that is somebody else's now can take no lock that another one needs and make no large
// object, and its connections are used up by itself alone. It notifies all the time. Meanwhile
// people sign up, relationships are written, events arrive, and the other programs migrate.
func TestNoRoleHoldsUpAnother(t *testing.T) {
	for _, role := range roles(t) {
		t.Run(role, func(t *testing.T) {
			url := roleURL(t, role)
			conn := dialRole(t, url)
			for _, refused := range []string{
				"select pg_advisory_lock(444016649569)", "select pg_advisory_lock(444016649576)", // once the trail's and the migrations'
				"select pg_advisory_lock(9628173550095224)", // tern's
				"select pg_advisory_lock(hashtextextended('gatehouse outbox identity', 0))", "select pg_try_advisory_xact_lock(1)",
				"select pg_advisory_lock(n) from generate_series(1, 100000) n", "select pg_advisory_lock_shared(1)",
				"select lo_creat(-1)", "select lo_create(0)", "select lo_from_bytea(0, 'x')",
			} {
				refusedTo(t, conn, refused)
			}
			stop := flood(t, url)
			held := exhaust(t, url)
			t.Logf("%d connections", len(held))
			check.Within(t, 20*time.Second, "a whole round trip", func() error { return roundTrip(t) })
			var all sync.WaitGroup
			for _, program := range stores(t) {
				if role == program || role == "audit_owner" && program == "audit" {
					continue // its own migration finds no connection left
				}
				all.Go(func() {
					if err := migrates(t, program); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			client := consul(t)
			for _, program := range stores(t) {
				if program != role {
					if err := wantCheck(client, program, "passing"); err != nil {
						t.Error(err)
					}
				}
			}
			stop()
			for _, c := range held {
				_ = c.Close(context.WithoutCancel(t.Context()))
			}
			check.Within(t, 30*time.Second, "every program is healthy", func() error { return healthy(t) })
		})
	}
}

func dialRole(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func refusedTo(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	_, err := conn.Exec(t.Context(), sql)
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || pgErr.Code != "42501" {
		t.Errorf("%s: %v, want SQLSTATE 42501 (insufficient_privilege)", sql, err)
	}
}

// flood notifies on the channels that once had these names, until it is stopped.
func flood(t *testing.T, url string) (stop func()) {
	t.Helper()
	conn := dialRole(t, url)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			_, err := conn.Exec(ctx, fmt.Sprintf("notify audit_events, '%[1]d'; notify identity_outbox, '%[1]d'; notify authz_outbox, '%[1]d'", n))
			if err != nil && ctx.Err() == nil {
				t.Errorf("notify: %v", err)
				return
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// exhaust takes connections until the role has none left.
func exhaust(t *testing.T, url string) (held []*pgx.Conn) {
	t.Helper()
	for len(held) < 200 {
		conn, err := pgx.Connect(t.Context(), url)
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) && pgErr.Code == "53300" {
			if !strings.Contains(pgErr.Message, "for role") {
				t.Errorf("the server itself is full: %s", pgErr.Message)
			}
			return held
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
		held = append(held, conn)
	}
	t.Error("200 connections, and the role has more")
	return held
}
