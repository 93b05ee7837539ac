package service

import (
	"context"
	"io/fs"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// Postgres provides *pgxpool.Pool and three health checks: the database answers, it takes writes,
// and its schema is not older than the migrations.
func Postgres(c pg.Config, schema string, migrations fs.FS) fx.Option {
	return fx.Options(
		fx.Provide(func() (*pgxpool.Pool, error) { return pg.Open(context.Background(), c) }),
		fxmod.AsCheck(func(pool *pgxpool.Pool) health.Check {
			return health.Check{Name: "database", Func: func(ctx context.Context) error { return pg.Ping(ctx, pool) }}
		}),
		fxmod.AsCheck(func(pool *pgxpool.Pool) health.Check {
			return health.Check{Name: "writes", Func: func(ctx context.Context) error { return pg.CheckWrites(ctx, pool) }}
		}),
		fxmod.AsCheck(func(pool *pgxpool.Pool) health.Check {
			return health.Check{Name: "schema", Func: func(ctx context.Context) error { return pg.CheckSchema(ctx, pool, schema, migrations) }}
		}),
	)
}
