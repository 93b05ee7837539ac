// Package app wires Auth: configuration, stores, domain services, RPCs and background work. Only
// cmd/auth imports it.
package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/fx"

	identityclient "github.com/gatehouse/gatehouse/internal/client/identity"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/fxmod/service"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/pg"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/api"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/identity"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Name is the mesh name of the program.
const Name = "auth"

// New returns the app of `auth serve`.
func New(c Config) *fx.App { return fxmod.New(options(c)) }

// Run is `auth serve`: it serves until the process is told to stop.
func (c *Config) Run() error { return fxmod.Run(New(*c)) }

// Migrate is `auth migrate`: it brings the schema to this program's version.
func Migrate(ctx context.Context, c MigrateConfig) error {
	return pg.Migrate(ctx, c.Postgres, migrations.Schema, migrations.Files, logging.New(c.Kernel.Log, os.Stderr))
}

// Run is Migrate for the command line.
func (c *MigrateConfig) Run() error { return Migrate(context.Background(), *c) }

func options(c Config) fx.Option {
	return fx.Options(
		fx.Supply(c),
		service.Postgres(c.Postgres, migrations.Schema, migrations.Files),
		service.Outbox(migrations.Schema),
		service.RemoteAudit(),
		service.RemoteRelationships(),
		service.RemotePermissions(),
		domain(),
		rpcs(),
		fxmod.LocalTokens(),
		service.Module(Name, c.Kernel),
	)
}

// domain provides the services over their stores, and Auth's own view of keys and ended sessions.
func domain() fx.Option {
	return fx.Options(
		fxmod.Client(identityclient.Name, identityclient.Directory),
		fxmod.Client(identityclient.Name, identityclient.Organizations),
		fx.Provide(
			fx.Annotate(postgres.NewLogins, fx.As(new(login.Store)), fx.As(new(login.InvitationStore))),
			fx.Annotate(postgres.NewSessions, fx.As(new(session.Store))),
			fx.Annotate(postgres.NewOverview, fx.As(new(session.OverviewStore))),
			fx.Annotate(postgres.NewBrowsers, fx.As(new(session.BrowserStore))),
			fx.Annotate(postgres.NewClients, fx.As(new(client.Store))),
			fx.Annotate(postgres.NewSigningKeys, fx.As(new(signingkey.Store))),
			fx.Annotate(postgres.NewFactors, fx.As(new(factor.Store))),
			fx.Annotate(postgres.NewFailures, fx.As(new(throttle.Store))),
			fx.Annotate(postgres.NewCodes, fx.As(new(openid.Store))),
			fx.Annotate(postgres.NewMailedCodes, fx.As(new(proof.Store))),
			fx.Annotate(postgres.NewPeople, fx.As(new(openid.People))),
			fx.Annotate(identity.NewDirectory, fx.As(new(login.Directory)), fx.As(new(emailchange.Directory))),
			fx.Annotate(identity.NewOrganizations, fx.As(new(factor.Organizations))),
			newHasher, newPolicy, newThrottle, newLogins, newSessions, newBrowsers, newOverview, newClients, newPages, newProvider, session.NewFeed, newWork, newSealer, newIDTokens,
			newFactors, newMailSealer, newSender, newDesk, newCourier, newTrials, newResets, newEmailChanges,
			fx.Annotate(postgres.NewEmailChanges, fx.As(new(emailchange.Store))),
			fx.Annotate(postgres.NewResets, fx.As(new(reset.Store))),
			fx.Annotate(postgres.NewMailTrials, fx.As(new(mail.TrialStore))),
			fx.Annotate(newMailMetrics, fx.As(new(mail.Metrics))),
			fx.Annotate(newMails, fx.As(fx.Self()), fx.As(new(mail.Store))),
			fx.Annotate(newKeeper, fx.As(fx.Self()), fx.As(new(token.KeySource)), fx.As(new(session.Signer))),
			fx.Annotate(token.NewRevocationList, fx.As(fx.Self()), fx.As(new(token.Revocations))),
		),
		fxmod.AsOps(mailbox),
		fxmod.AsCheck(func(k *signingkey.Keeper) health.Check { return health.Check{Name: "keys", Func: k.Check} }),
		fxmod.AsCheck(func(f *session.Feed) health.Check { return health.Check{Name: "revocations", Func: f.Current} }),
	)
}

// rpcs provides the gRPC services of the contract.
func rpcs() fx.Option {
	return fx.Options(
		service.AsRegistration(func(l *login.Service, f *factor.Service, s *session.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.AuthService_ServiceDesc, Impl: api.NewAuthService(l, f, s), REST: authv1.RegisterAuthServiceHandler}
		}),
		service.AsRegistration(func(f *factor.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.FactorService_ServiceDesc, Impl: api.NewFactorService(f), REST: authv1.RegisterFactorServiceHandler}
		}),
		service.AsRegistration(func(l *login.Service, o *session.Overview) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.SessionService_ServiceDesc, Impl: api.NewSessionService(l, o), REST: authv1.RegisterSessionServiceHandler}
		}),
		service.AsRegistration(func(l *login.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.LoginService_ServiceDesc, Impl: api.NewLoginService(l)}
		}),
		service.AsRegistration(func(l *login.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.InvitationService_ServiceDesc, Impl: api.NewInvitationService(l), REST: authv1.RegisterInvitationServiceHandler}
		}),
		service.AsRegistration(func(c *client.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.ClientService_ServiceDesc, Impl: api.NewClientService(c), REST: authv1.RegisterClientServiceHandler}
		}),
		service.AsRegistration(func(c client.Store) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.ClientDirectoryService_ServiceDesc, Impl: api.NewClientDirectoryService(c)}
		}),
		service.AsRegistration(func(k *signingkey.Keeper, f *session.Feed) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.VerificationService_ServiceDesc, Impl: api.NewVerificationService(k, f)}
		}),
		service.AsRegistration(func(r *reset.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.RecoveryService_ServiceDesc, Impl: api.NewRecoveryService(r), REST: authv1.RegisterRecoveryServiceHandler}
		}),
		service.AsRegistration(func(s *emailchange.Service) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.EmailService_ServiceDesc, Impl: api.NewEmailService(s), REST: authv1.RegisterEmailServiceHandler}
		}),
		service.AsRegistration(func(t *mail.Trials) grpcserver.Registration {
			return grpcserver.Registration{Desc: &authv1.MailService_ServiceDesc, Impl: api.NewMailService(t), REST: authv1.RegisterMailServiceHandler}
		}),
		service.AsRegistration(openIDService),
		service.AsRegistration(pageService),
	)
}

func newHasher(c Config) (login.Hasher, error) {
	from := func(ctx context.Context) string { return throttle.Network(event.FromContext(ctx).ClientAddress) }
	return password.NewPool(c.Password.parameters(), c.Password.workers(), c.Password.Queue, rand.Reader, from)
}

func newPolicy(c Config) (password.Policy, error) {
	if c.Password.BreachedFile == "" {
		return password.Policy{}, nil
	}
	list, err := password.OpenBreached(c.Password.BreachedFile)
	if err != nil {
		return password.Policy{}, fmt.Errorf("GATEHOUSE_AUTH_PASSWORD_BREACHED_FILE: %w", err)
	}
	return password.Policy{Breached: list}, nil
}

// newThrottle counts failures under what follows from the sealing key: with another one all are
// forgotten, and known devices too.
func newThrottle(c Config, store throttle.Store, sealer *signingkey.Sealer, now func() time.Time, registry prometheus.Registerer) (*throttle.Guard, error) {
	throttled := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gatehouse_auth_throttled_total", Help: "Attempts to prove somebody that had to wait, by the counter of the account or device, or the platform's budget.",
	}, []string{"by"})
	if err := registry.Register(throttled); err != nil {
		return nil, fmt.Errorf("register the metric of throttled attempts: %w", err)
	}
	secret, _, err := sealer.Derive(throttle.Purpose)
	if err != nil {
		return nil, err
	}
	return throttle.New(throttle.Params{
		Store: store, Secret: secret, Budget: c.Password.FailureBudget, NewID: uuid.NewString, Now: now,
		Throttled: func(by string) { throttled.WithLabelValues(by).Inc() },
	}), nil
}

// loginParams are what the login service is made of.
type loginParams struct {
	fx.In

	Config    Config
	Store     login.Store
	Directory login.Directory
	Hasher    login.Hasher
	Passwords password.Policy
	Throttle  *throttle.Guard
	Desk      *mail.Desk
	Codes     proof.Store
	Invited   login.InvitationStore
	Courier   *mail.Courier
	Feed      *session.Feed
	Now       func() time.Time
	Log       *slog.Logger
}

func newLogins(p loginParams) *login.Service {
	return login.NewService(login.Params{
		Config: login.Config{
			CreateUserTimeout: createUserTimeout, SignUpGrace: signUpGrace, RetryInterval: signUpRetry,
			RevocationPeriod: session.RevocationPeriod, BootstrapSecret: p.Config.Bootstrap.Secret.Reveal(),
			SignUps: login.SignUps(p.Config.SignUps.Where),
		},
		Store: p.Store, Directory: p.Directory, Hasher: p.Hasher, Passwords: p.Passwords, Throttle: p.Throttle, Desk: p.Desk, Codes: p.Codes,
		Invitations: p.Invited,
		NewID:       uuid.NewString, Now: p.Now, Log: p.Log,
		Wake: func() {
			p.Feed.Wake()
			p.Courier.Wake()
		},
	})
}

// sessionParams are what the session service is made of.
type sessionParams struct {
	fx.In

	Config Config
	Store  session.Store
	Signer session.Signer
	Feed   *session.Feed
	Now    func() time.Time
	Log    *slog.Logger
}

func newSessions(p sessionParams) *session.Service {
	return session.NewService(session.Params{
		Config: p.Config.session(), Store: p.Store, Signer: p.Signer, NewID: uuid.NewString, Random: rand.Reader, Now: p.Now,
		Wake: p.Feed.Wake, Log: p.Log,
	})
}

func newOverview(c Config, store session.OverviewStore, desk *mail.Desk, courier *mail.Courier, feed *session.Feed, now func() time.Time) *session.Overview {
	return session.NewOverview(session.OverviewParams{Config: c.session(), Store: store, Desk: desk, Now: now, Wake: func() {
		feed.Wake()
		courier.Wake()
	}})
}

// browserParams are what the service of browser sessions is made of.
type browserParams struct {
	fx.In

	Config Config
	Store  session.BrowserStore
	Feed   *session.Feed
	Now    func() time.Time
}

func newBrowsers(p browserParams) *session.Browsers {
	return session.NewBrowsers(session.BrowserParams{
		Config: p.Config.browsers(), Store: p.Store, NewID: uuid.NewString, Random: rand.Reader, Now: p.Now, Wake: p.Feed.Wake,
	})
}

func newClients(c Config, store client.Store, feed *session.Feed, now func() time.Time) *client.Service {
	return client.NewService(client.Params{
		Store: store, Own: []string{c.Kernel.Token.Issuer, c.Kernel.Token.Audience}, NewID: uuid.NewString, Random: rand.Reader, Now: now,
		Wake: feed.Wake, RevocationPeriod: session.RevocationPeriod,
	})
}
