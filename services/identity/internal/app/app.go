// Package app wires Identity: its configuration, and which constructors make the program. cmd/identity runs it.
package app

import (
	"context"
	"io"
	"log/slog"
	"time"
	_ "time/tzdata" // the rule of user.time_zone must not depend on what the machine has installed

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/fx"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/pg"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/api"
	"github.com/gatehouse/gatehouse/services/identity/internal/auth"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Program is the mesh name of the service.
const Program = "identity"

// reconcileEvery is how often an instance looks for interrupted deletions.
const reconcileEvery = 2 * time.Second

// CLI is the command line: one struct for each verb.
type CLI struct {
	Serve   Config        `cmd:"" default:"withargs" help:"Serve; the default."`
	Migrate MigrateConfig `cmd:"" help:"Bring the schema to the version of this program; waits for the database."`
	Version struct{}      `cmd:"" help:"Print the version."`
}

// Config is what serve needs.
type Config struct {
	Kernel   fxmod.Config `embed:""`
	Postgres pg.Config    `embed:""`
}

// MigrateConfig is what migrate needs.
type MigrateConfig struct {
	Log      logging.Config `embed:""`
	Postgres pg.Config      `embed:""`
}

// New makes the program.
func New(c Config) *fx.App { return fxmod.New(Module(c)) }

// Module is everything the program consists of.
func Module(c Config) fx.Option {
	return fx.Options(
		fxmod.Service(Program, c.Kernel),
		fxmod.RemoteTokens(),
		fxmod.Postgres(c.Postgres, migrations.Schema, migrations.Files),
		fxmod.Client(client.Issuer, authv1.NewLoginServiceClient),
		fx.Provide(
			postgres.NewUsers,
			newOrganizations,
			newUsers,
			auth.NewLogins,
			api.NewUserService,
			api.NewUserDirectoryService,
			api.NewOrganizationDirectoryService,
		),
		fxmod.AsRegistration(func(s *api.UserService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.UserService_ServiceDesc, Impl: s}
		}),
		fxmod.AsRegistration(func(s *api.UserDirectoryService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.UserDirectoryService_ServiceDesc, Impl: s}
		}),
		fxmod.AsRegistration(func(s *api.OrganizationDirectoryService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.OrganizationDirectoryService_ServiceDesc, Impl: s}
		}),
		fx.Invoke(reconcile),
	)
}

func newOrganizations(pool *pgxpool.Pool, now func() time.Time) *organization.Service {
	return organization.NewService(postgres.NewOrganizations(pool), now)
}

func newUsers(store *postgres.Users, logins *auth.Logins, now func() time.Time) *user.Service {
	return user.NewService(user.Params{Store: store, Deletions: store, Logins: logins, Now: now, NewID: uuid.NewString})
}

// reconcile completes interrupted deletions while the program runs.
func reconcile(lc fx.Lifecycle, users *user.Service, log *slog.Logger) {
	reconciler := user.NewReconciler(users, log)
	fxmod.Background(lc, func(ctx context.Context) {
		ticker := time.NewTicker(reconcileEvery)
		defer ticker.Stop()
		reconciler.Run(ctx, ticker.C)
	})
}

// Migrate brings the schema to the version of this program.
func Migrate(ctx context.Context, c MigrateConfig, log io.Writer) error {
	return pg.Migrate(ctx, c.Postgres, migrations.Schema, migrations.Files, logging.New(c.Log, log).With("program", Program))
}
