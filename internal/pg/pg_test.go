package pg_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

func open(t *testing.T, c pg.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func reason(err error) string {
	var e *apierr.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprintf("%T %v", err, err)
}

func TestOpenDoesNotNeedTheDatabase(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	pool := open(t, pg.Config{URL: config.NewSecret("postgres://thing:pw@" + address + "/gatehouse?sslmode=disable")})
	if got := reason(pg.Ping(t.Context(), pool)); got != "DATABASE_UNAVAILABLE" {
		t.Errorf("ping: %s", got)
	}
}

// A server that accepts and says nothing, as a sidecar without an upstream does, is as good as none.
func TestASilentServerIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	url := config.NewSecret("postgres://thing:pw@" + listener.Addr().String() + "/gatehouse?sslmode=disable")
	pool := open(t, pg.Config{URL: url, ConnectTimeout: 100 * time.Millisecond})
	if got := reason(pg.Ping(t.Context(), pool)); got != "DATABASE_UNAVAILABLE" {
		t.Errorf("ping: %s", got)
	}
}

func TestInTx(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, "thing", files(createThings))
	insert := func(id int, fail error) error {
		return pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "insert into things values ($1)", id); err != nil {
				return err
			}
			return fail
		})
	}
	taken := apierr.New(apierr.AlreadyExists, "TAKEN", "x")
	if err := insert(1, taken); !errors.Is(err, taken) {
		t.Errorf("the error of the function: %v", err)
	}
	if err := insert(1, nil); err != nil {
		t.Errorf("insert after a rollback: %v", err)
	}
	if err := insert(1, nil); err == nil || pg.IsForeignKey(err, "things_pkey") {
		t.Errorf("a second insert: %v", err)
	}
}

func TestIsForeignKey(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, "thing", files(createThings))
	if _, err := pool.Exec(t.Context(), "create table parts (thing int constraint parts_fk references things)"); err != nil {
		t.Fatal(err)
	}
	_, err := pool.Exec(t.Context(), "insert into parts values (7)")
	if !pg.IsForeignKey(err, "parts_fk") || pg.IsForeignKey(err, "other_fk") {
		t.Errorf("a part of no thing: %v", err)
	}
	if pg.IsForeignKey(nil, "parts_fk") || pg.IsForeignKey(errors.New("x"), "parts_fk") {
		t.Error("no error of the driver violates a constraint")
	}
}

func TestErrorSaysWhatTheCallerMayDo(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t, "thing", files(createThings))
	raise := func(state string) error {
		_, err := pool.Exec(t.Context(), "do $$ begin raise exception 'canary' using errcode = '"+state+"'; end $$")
		return pg.Error(err)
	}
	for state, want := range map[string]string{
		"40001": "DATABASE_BUSY", "40P01": "DATABASE_BUSY", "53300": "DATABASE_UNAVAILABLE", "53100": "DATABASE_UNAVAILABLE",
		"57P01": "DATABASE_UNAVAILABLE", "57P03": "DATABASE_UNAVAILABLE", "25006": "DATABASE_UNAVAILABLE", "08006": "DATABASE_UNAVAILABLE",
	} {
		err := raise(state)
		if got := reason(err); got != want {
			t.Errorf("SQLSTATE %s: %s, want %s", state, got, want)
		}
		if e := apierr.From(err); e.Kind != apierr.Unavailable || e.RetryAfter == 0 || strings.Contains(e.Message, "canary") {
			t.Errorf("SQLSTATE %s: %+v", state, e)
		}
	}
	if e := apierr.From(raise("22012")); e.Kind != apierr.Internal {
		t.Errorf("a defect is %v", e)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if e := apierr.From(pg.Ping(canceled, pool)); e.Kind != apierr.Canceled {
		t.Errorf("a canceled request is %v", e)
	}
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := pool.Exec(late, "select pg_sleep(10)")
	if e := apierr.From(pg.Error(err)); e.Kind != apierr.DeadlineExceeded {
		t.Errorf("a late request is %v", e)
	}
	if pg.Error(nil) != nil {
		t.Error("nil does not stay nil")
	}
}

func TestABrokenConnectionIsUnavailableAndThePoolRecovers(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	pool := open(t, pg.Config{URL: server.SuperURL("postgres"), MaxConns: 1})
	err := pg.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		if err := process.Kill(); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), "select 1")
		return err
	})
	if got := reason(err); got != "DATABASE_UNAVAILABLE" {
		t.Errorf("a statement on a broken connection: %s", got)
	}
	if got := reason(pg.Ping(t.Context(), pool)); got != "DATABASE_UNAVAILABLE" {
		t.Errorf("while the server is down: %s", got)
	}
	again, err := server.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Kill() })
	if err := pg.Ping(t.Context(), pool); err != nil {
		t.Errorf("after the restart: %v", err)
	}
}

func TestValidate(t *testing.T) {
	const canary = "canary-55"
	good := pg.Config{
		URL: config.NewSecret("postgres://thing:" + canary + "@127.0.0.1:20039/gatehouse"), MaxConns: 10,
		MaxConnLifetime: 5 * time.Minute, ConnectTimeout: time.Second, Wait: time.Minute,
	}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*pg.Config)) pg.Config {
		c := good
		change(&c)
		return c
	}
	url := func(text string) pg.Config { return with(func(c *pg.Config) { c.URL = config.NewSecret(text) }) }
	for name, c := range map[string]struct {
		config pg.Config
		want   string
	}{
		"none":             {url(""), "GATEHOUSE_POSTGRES_URL_FILE"},
		"keywords":         {url("host=x password=" + canary), "write postgres://"},
		"bad escape":       {url("postgres://thing:" + canary + "%zz@x/db"), "percent-encoded"},
		"raw slash":        {url("postgres://thing:" + canary + "/x@h:1/db"), "percent-encoded"},
		"no role":          {url("postgres://127.0.0.1/db"), "write postgres://"},
		"no database":      {url("postgres://thing:" + canary + "@127.0.0.1"), "write postgres://"},
		"bad parameter":    {url("postgres://thing:" + canary + "@h/db?sslmode=" + canary), "write postgres://"},
		"no connections":   {with(func(c *pg.Config) { c.MaxConns = 0 }), "MAX_CONNS"},
		"too old for ever": {with(func(c *pg.Config) { c.MaxConnLifetime = 10 * time.Minute }), "sidecar cuts"},
		"no time":          {with(func(c *pg.Config) { c.ConnectTimeout = 0 }), "CONNECT_TIMEOUT"},
		"negative wait":    {with(func(c *pg.Config) { c.Wait = -1 }), "WAIT"},
	} {
		err := c.config.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
