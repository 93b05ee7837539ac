package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/program"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
)

// RecoverConfig is everything that `auth recover` can be told.
type RecoverConfig struct {
	Postgres pg.Config `embed:""`
}

// Run is Recover for the command line.
func (c *RecoverConfig) Run(p program.Process) error {
	return Recover(context.Background(), *c, p.Stdout, p.Stderr)
}

// recoverTimeout bounds `auth recover`.
const recoverTimeout = 30 * time.Second

// Recover is `auth recover`: it writes a secret to out, once, and to hint what to do with it. It
// needs the database alone; the event is delivered by whoever serves.
func Recover(ctx context.Context, c RecoverConfig, out, hint io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, recoverTimeout)
	defer cancel()
	pool, err := pg.Open(ctx, c.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pg.CheckSchema(ctx, pool, migrations.Schema, migrations.Files); err != nil {
		return err
	}
	box, err := offlineOutbox(pool)
	if err != nil {
		return err
	}
	secret, until, err := login.Recover(ctx, postgres.NewLogins(pool, box, nil), rand.Reader)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, secret); err != nil {
		return fmt.Errorf("print the secret: %w", err)
	}
	_, err = fmt.Fprintf(hint, "This secret makes one administrator, until %s: POST it to /api/v1/auth/bootstrap as \"secret\", with a new \"email\" and \"password\".\n",
		until.UTC().Format("15:04:05 MST"))
	return err
}

// offlineOutbox takes events for whoever serves to deliver.
func offlineOutbox(pool *pgxpool.Pool) (*outbox.Outbox, error) {
	return outbox.New(outbox.Params{
		Pool: pool, Schema: migrations.Schema, Source: Name, Now: time.Now, NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler),
	})
}
