package fga

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/openfga/openfga/pkg/server"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// Schema is the schema of OpenFGA's tables. No other table may be in it: its migrations would fail.
const Schema = "authz_fga"

// ownerSchema is the program's own schema, whose lock its migrations take.
const ownerSchema = "authz"

// Bounds of what reaches the database. A statement that its caller gave up ends by itself, and so does a transaction between two
// statements: after Settled nothing of an abandoned Write can land.
const (
	statementTimeout = 3 * time.Second
	writeTimeout     = 4 * time.Second // of all attempts of one Write
	Settled          = writeTimeout + 2*statementTimeout
)

// Params are what an Engine needs.
type Params struct {
	URL             config.Secret // of the database; the schema is added here
	MaxConns        int32
	MaxConnLifetime time.Duration
	ConnectTimeout  time.Duration
	Log             *slog.Logger
	Tune            func(*pgxpool.Config) // hooks of the connections; nil for none
}

// Engine evaluates and stores relationships. It is safe for concurrent use.
type Engine struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	rules *rules

	loading sync.Mutex
	current atomic.Pointer[loaded]
}

// loaded is what Load finds.
type loaded struct {
	server       *server.Server
	store, model string // their ids
}

// Open makes an Engine. It does not connect: Load does.
func Open(ctx context.Context, p Params) (*Engine, error) {
	rules, err := embeddedRules()
	if err != nil {
		return nil, err
	}
	bounded, err := boundedURL(p.URL)
	if err != nil {
		return nil, err
	}
	pool, err := pg.OpenTuned(ctx, pg.Config{
		URL: bounded, MaxConns: p.MaxConns, MaxConnLifetime: p.MaxConnLifetime, ConnectTimeout: p.ConnectTimeout,
	}, p.Tune)
	if err != nil {
		return nil, fmt.Errorf("open the relationship engine: %w", err)
	}
	return &Engine{pool: pool, log: p.Log, rules: rules}, nil
}

// boundedURL adds the schema, the time limits of a session and how it plans.
func boundedURL(secret config.Secret) (config.Secret, error) {
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Host == "" {
		return config.Secret{}, fmt.Errorf("GATEHOUSE_POSTGRES_URL is not a PostgreSQL URL: write postgres://role:password@127.0.0.1:port/gatehouse")
	}
	query := u.Query()
	query.Set("search_path", Schema)
	query.Set("plan_cache_mode", "force_generic_plan") // the same few statements over indexes: planning each anew costs more than running it
	query.Set("statement_timeout", fmt.Sprint(statementTimeout.Milliseconds()))
	query.Set("idle_in_transaction_session_timeout", fmt.Sprint(statementTimeout.Milliseconds()))
	u.RawQuery = query.Encode()
	return config.NewSecret(u.String()), nil
}

// Load finds the store and the embedded model in the database; until it has succeeded once, every question is Unavailable. A database
// without the model is Unavailable SCHEMA_OUTDATED: `authz migrate` writes it.
func (e *Engine) Load(ctx context.Context) error {
	e.loading.Lock()
	defer e.loading.Unlock()
	if e.current.Load() != nil {
		return nil
	}
	if err := pg.Ping(ctx, e.pool); err != nil {
		return err
	}
	found, err := load(ctx, e.pool, e.rules.model)
	if err != nil {
		return translate(ctx, err)
	}
	e.current.Store(found)
	e.log.InfoContext(ctx, "authorization model loaded", "model", found.model)
	return nil
}

// Ready returns nil when the Engine answers; for readiness.
func (e *Engine) Ready(ctx context.Context) error {
	if _, err := e.loaded(); err != nil {
		return err
	}
	return pg.Ping(ctx, e.pool)
}

// loaded returns what Load found.
func (e *Engine) loaded() (*loaded, error) {
	if found := e.current.Load(); found != nil {
		return found, nil
	}
	return nil, reason.ModelNotLoaded().WithRetryAfter(time.Second)
}

// Model is the authorization model in force.
type Model struct {
	ID     string // changes with the model; "" before Load
	Source string // in OpenFGA's modelling language
	Types  []Type // sorted by name
}

// Type is one type of the model.
type Type struct {
	Name      string
	Relations []string // sorted
}

// Model returns the embedded model.
func (e *Engine) Model() Model {
	m := Model{Source: e.rules.source, Types: e.rules.types()}
	if found := e.current.Load(); found != nil {
		m.ID = found.model
	}
	return m
}

// Close ends the connections. No other method may run or follow.
func (e *Engine) Close() {
	e.loading.Lock()
	defer e.loading.Unlock()
	if found := e.current.Swap(nil); found != nil {
		found.server.Close()
	}
	e.pool.Close()
}
