// Package app wires Identity: its configuration, and which constructors make the program.
// cmd/identity runs it.
package app

import (
	"context"
	"log/slog"
	"os"
	"time"
	_ "time/tzdata" // the rule of user.time_zone must not depend on what the machine has installed

	"github.com/google/uuid"
	"go.uber.org/fx"

	authclient "github.com/gatehouse/gatehouse/internal/client/auth"
	authzclient "github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/fxmod/service"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/loop"
	"github.com/gatehouse/gatehouse/internal/pg"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/api"
	"github.com/gatehouse/gatehouse/services/identity/internal/auth"
	"github.com/gatehouse/gatehouse/services/identity/internal/authz"
	"github.com/gatehouse/gatehouse/services/identity/internal/membership"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Name is the mesh name of the program.
const Name = "identity"

// Times of the background work.
const (
	lookEvery        = time.Second      // how often an instance looks for changes, if anybody watches
	lookTimeout      = 10 * time.Second // of one look
	reconcileEvery   = 2 * time.Second  // how often an instance looks for interrupted deletions, and suspensions
	reconcileTimeout = time.Minute      // of one look, with what it completes
	forgetEvery      = time.Minute      // how often the ids of users deleted long ago are forgotten
)

// New returns the app of `identity serve`.
func New(c Config) *fx.App { return fxmod.New(options(c)) }

// Run is `identity serve`: it serves until the process is told to stop.
func (c *Config) Run() error { return fxmod.Run(New(*c)) }

// options is everything the program consists of.
func options(c Config) fx.Option {
	return fx.Options(
		service.Postgres(c.Postgres, migrations.Schema, migrations.Files),
		service.Outbox(migrations.Schema),
		service.RemoteAudit(),
		service.RemoteRelationships(),
		service.RemotePermissions(),
		service.RemoteChanges(),
		fxmod.Client(authclient.Name, authclient.Logins),
		fxmod.Client(authclient.Name, authclient.Invitations),
		fxmod.Client(authzclient.Name, authzclient.Client),
		fx.Supply(c.Quota),
		fx.Provide(
			postgres.NewUsers,
			postgres.NewOrganizations,
			newOrganizations,
			newUsers,
			newMemberships,
			newWatching,
			newCursors,
			newWork,
			auth.NewLogins,
			auth.NewInvitations,
			authz.NewDepartures,
			authz.NewPermissions,
			api.NewUserService,
			api.NewInvitationService,
			api.NewUserDirectoryService,
			api.NewOrganizationDirectoryService,
		),
		service.AsRegistration(func(s *api.UserService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.UserService_ServiceDesc, Impl: s, REST: identityv1.RegisterUserServiceHandler}
		}),
		service.AsRegistration(func(s *api.InvitationService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.InvitationService_ServiceDesc, Impl: s, REST: identityv1.RegisterInvitationServiceHandler}
		}),
		service.AsRegistration(func(s *api.UserDirectoryService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.UserDirectoryService_ServiceDesc, Impl: s}
		}),
		service.AsRegistration(func(s *api.OrganizationDirectoryService) grpcserver.Registration {
			return grpcserver.Registration{Desc: &identityv1.OrganizationDirectoryService_ServiceDesc, Impl: s}
		}),
		fxmod.RemoteTokens(),
		service.Module(Name, c.Kernel),
	)
}

func newOrganizations(store *postgres.Organizations, now func() time.Time) *organization.Service {
	return organization.NewService(store, now)
}

func newUsers(
	quota QuotaConfig, store *postgres.Users, departures *authz.Departures, logins *auth.Logins, invitations *auth.Invitations, now func() time.Time,
) *user.Service {
	return user.NewService(user.Params{
		Store: store, Deletions: store, Standings: store, Departures: departures, Logins: logins, Invitations: invitations, InvitationStore: store,
		Quota: quota.PersonalUsers, Now: now, NewID: uuid.NewString,
	})
}

func newMemberships(users *user.Service, organizations *organization.Service, permissions *authz.Permissions) *membership.Service {
	return membership.NewService(users, organizations, permissions)
}

// newWatching tells who watches what changes, by this instance and by others.
func newWatching(store *postgres.Users) *user.Watching {
	return user.NewWatching(store, user.Heartbeat)
}

func newCursors(store *postgres.Users, now func() time.Time) *cursor.Texts {
	return cursor.NewTexts(store, user.TellFor, now)
}

// newWork is what runs beside the requests. Nothing of it waits for anything else, so its order is
// free.
func newWork(users *user.Service, watching *user.Watching, log *slog.Logger) service.Work {
	look := loop.Loop{Name: "look for changed users", Every: lookEvery, Timeout: lookTimeout, Do: watching.Look}
	forget := loop.Loop{Name: "forget deleted users", Every: forgetEvery, Timeout: time.Minute, Do: users.ForgetDeleted}
	return service.Work{Beside: fxmod.Parts{
		fxmod.Repeat(reconciler(users, log), log),
		fxmod.Repeat(standings(users, log), log),
		fxmod.Repeat(mailer(users, log), log),
		fxmod.Repeat(look, log),
		fxmod.Repeat(forget, log),
	}}
}

// reconciler completes deletions that a crash or an unreachable Auth interrupted. Every instance
// runs one; claims keep them from each other's work.
func reconciler(users *user.Service, log *slog.Logger) loop.Loop {
	return completing("deletions", users.CompleteDeletions, log)
}

// standings completes suspensions and returns in the same way. Neither kind waits for the other.
func standings(users *user.Service, log *slog.Logger) loop.Loop {
	return completing("suspensions and returns", users.CompleteStandings, log)
}

func completing(what string, complete func(context.Context) (int, error), log *slog.Logger) loop.Loop {
	return loop.Loop{
		Name: "complete interrupted " + what, Every: reconcileEvery, Timeout: reconcileTimeout,
		Do: func(ctx context.Context) error {
			completed, err := complete(ctx)
			if completed > 0 {
				log.InfoContext(ctx, "completed interrupted "+what, "users", completed)
			}
			return err
		},
	}
}

// mailer has the invitations mailed that a crash or an unreachable Auth left behind, likewise.
func mailer(users *user.Service, log *slog.Logger) loop.Loop {
	return loop.Loop{
		Name: "mail interrupted invitations", Every: reconcileEvery, Timeout: reconcileTimeout,
		Do: func(ctx context.Context) error {
			completed, err := users.CompleteInvitations(ctx)
			if completed > 0 {
				log.InfoContext(ctx, "mailed interrupted invitations", "users", completed)
			}
			return err
		},
	}
}

// Migrate is `identity migrate`: it brings the schema to this program's version.
func Migrate(ctx context.Context, c MigrateConfig) error {
	log := logging.New(c.Kernel.Log, os.Stderr).With("program", Name)
	return pg.Migrate(ctx, c.Postgres, migrations.Schema, migrations.Files, log)
}

// Run is Migrate for the command line.
func (c *MigrateConfig) Run() error { return Migrate(context.Background(), *c) }
