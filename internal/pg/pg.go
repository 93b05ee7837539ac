// Package pg is the way to PostgreSQL: the connection pool, migrations, and what its errors mean.
//
// Stores (services/<svc>/internal/postgres) and wiring import it; domain packages do not. Each service has a role and a schema of its
// own, both named like the service, in one database.
package pg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
)

// maxLifetime keeps every connection younger than the 600 s that the database's sidecar gives old connections when its listener changes;
// a pool that renewed later would see queries cut.
const maxLifetime = 9 * time.Minute

// Config is the option group of the database.
type Config struct {
	URL             config.Secret `name:"postgres-url" env:"GATEHOUSE_POSTGRES_URL" placeholder:"URL" help:"Database of this program, postgres://role:password@127.0.0.1:port/gatehouse. Prefer the _FILE variable: a command line is public."`
	MaxConns        int32         `name:"postgres-max-conns" env:"GATEHOUSE_POSTGRES_MAX_CONNS" default:"10" help:"Most connections at a time."`
	MaxConnLifetime time.Duration `name:"postgres-max-conn-lifetime" env:"GATEHOUSE_POSTGRES_MAX_CONN_LIFETIME" default:"5m" help:"Age at which a connection is replaced, 9m at most."`
	ConnectTimeout  time.Duration `name:"postgres-connect-timeout" env:"GATEHOUSE_POSTGRES_CONNECT_TIMEOUT" default:"3s" help:"Longest wait for a new connection."`
	Wait            time.Duration `name:"postgres-wait" env:"GATEHOUSE_POSTGRES_WAIT" default:"60s" help:"Longest time that migrate waits for the database to answer."`
}

// Validate reports contradictions.
func (c Config) Validate() error {
	if _, err := c.parse(); err != nil {
		return err
	}
	switch {
	case c.MaxConns < 1 || c.MaxConns > 1000:
		return fmt.Errorf("GATEHOUSE_POSTGRES_MAX_CONNS is %d: set it to 1 to 1000", c.MaxConns)
	case c.MaxConnLifetime < time.Second || c.MaxConnLifetime > maxLifetime:
		return fmt.Errorf("GATEHOUSE_POSTGRES_MAX_CONN_LIFETIME is %s: set it to 1s to 9m, because the sidecar cuts older connections", c.MaxConnLifetime)
	case c.ConnectTimeout <= 0:
		return fmt.Errorf("GATEHOUSE_POSTGRES_CONNECT_TIMEOUT is %s: set it to 1s or more", c.ConnectTimeout)
	case c.Wait < 0:
		return fmt.Errorf("GATEHOUSE_POSTGRES_WAIT is %s: set it to 0s or more", c.Wait)
	}
	return nil
}

// parse reads the URL. No text of the driver is passed on: it may hold a part of the password.
func (c Config) parse() (*pgxpool.Config, error) {
	if c.URL.IsZero() {
		return nil, errors.New("no database is configured: set GATEHOUSE_POSTGRES_URL_FILE (or GATEHOUSE_POSTGRES_URL) to postgres://role:password@127.0.0.1:port/gatehouse")
	}
	bad := errors.New("GATEHOUSE_POSTGRES_URL is not a PostgreSQL URL: write postgres://role:password@127.0.0.1:port/gatehouse, with the password percent-encoded")
	u, err := url.Parse(c.URL.Reveal())
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Hostname() == "" || u.User.Username() == "" || len(u.Path) < 2 {
		return nil, bad
	}
	parsed, err := pgurl.ParsePool(c.URL)
	if err != nil {
		return nil, bad
	}
	return parsed, nil
}

// poolConfig fills in what the option group says; zero fields keep the driver's defaults.
func (c Config) poolConfig() (*pgxpool.Config, error) {
	parsed, err := c.parse()
	if err != nil {
		return nil, err
	}
	if c.MaxConns > 0 {
		parsed.MaxConns = c.MaxConns
	}
	if c.MaxConnLifetime > 0 {
		parsed.MaxConnLifetime = c.MaxConnLifetime
		parsed.MaxConnLifetimeJitter = c.MaxConnLifetime / 20 // not all at once
	}
	if c.ConnectTimeout > 0 {
		parsed.ConnConfig.ConnectTimeout = c.ConnectTimeout
	}
	parsed.HealthCheckPeriod = 15 * time.Second
	parsed.BeforeConnect = follow(c.URL, parsed.ConnConfig.Password).choose
	return parsed, nil
}

// Open makes a pool. It does not connect: a program starts while its database is down and says so by its readiness.
func Open(ctx context.Context, c Config) (*pgxpool.Pool, error) {
	return OpenTuned(ctx, c, nil)
}

// OpenTuned is Open for a pool with hooks: tune sees the pool's configuration last; nil changes nothing.
func OpenTuned(ctx context.Context, c Config, tune func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	parsed, err := c.poolConfig()
	if err != nil {
		return nil, err
	}
	if tune != nil {
		tune(parsed)
	}
	pool, err := pgxpool.NewWithConfig(ctx, parsed)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	return pool, nil
}

// Beginner starts transactions; *pgxpool.Pool and *pgx.Conn do.
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// InTx runs fn in one transaction, which is committed when fn returns nil and rolled back otherwise. Errors come out through Error. When
// the commit itself is cut off, it is unknown whether it happened: only idempotent work may be tried again.
func InTx(ctx context.Context, db Beginner, fn func(tx pgx.Tx) error) error {
	return Error(pgx.BeginFunc(ctx, db, fn))
}

// Ping asks the database for an answer; for readiness.
func Ping(ctx context.Context, pool *pgxpool.Pool) error {
	return Error(pool.Ping(ctx))
}

// CheckWrites asks for a transaction id, without which nothing can be written; for readiness. It
// fails on a standby, and when another role has filled the table that all locks of the server
// share.
func CheckWrites(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, "select pg_current_xact_id()")
	if sqlState(err) == outOfMemory {
		return apierr.DatabaseFullOfLocks().Because(err)
	}
	return Error(err)
}
