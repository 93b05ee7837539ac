package app

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
)

// respell fixes the relationships that were written before ids had one form. It is a change of
// relationships, so it takes the way of all changes; the events are delivered by whoever serves.
func respell(ctx context.Context, c pg.Config, log *slog.Logger) error {
	pool, err := pg.Open(ctx, c)
	if err != nil {
		return err
	}
	defer pool.Close()
	engine, err := fga.Open(ctx, fga.Params{
		URL: c.URL, MaxConns: c.MaxConns, MaxConnLifetime: c.MaxConnLifetime, ConnectTimeout: c.ConnectTimeout, Log: log, Tune: postgres.Fence,
	})
	if err != nil {
		return err
	}
	defer engine.Close()
	if err := engine.Load(ctx); err != nil {
		return err
	}
	box, err := outbox.New(outbox.Params{
		Pool: pool, Schema: migrations.Schema, Source: Name, Now: time.Now, NewID: newID, Random: rand.Reader, Log: log,
	})
	if err != nil {
		return err
	}
	relations := newRelations(newCommands(pool, box), engine, time.Now)
	return pg.Locked(ctx, c, migrations.Schema, log, func(conn *pgx.Conn) error {
		misspelt, err := engine.Misspelt(ctx, conn)
		if err != nil || len(misspelt) == 0 {
			return err
		}
		respelt, err := relations.Respell(ctx, Name, misspelt)
		if respelt > 0 {
			log.InfoContext(ctx, "relationships have their ids in lower case now", "relationships", respelt, "of", len(misspelt))
		}
		return err
	})
}
