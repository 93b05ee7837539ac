package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
)

func TestAppIsComplete(t *testing.T) {
	if err := fx.ValidateApp(options(Config{})); err != nil {
		t.Fatal(err)
	}
}

// The whole program as it runs on one machine, without its sidecar: it starts before Auth and its
// schema are there, gets ready by itself, deletes a user although Auth comes and goes and the
// program restarts, hands over what happened as soon as Audit and Authz are there, and stops
// without leaving anything behind.
func TestStartServeStop(t *testing.T) {
	database := pgtest.Config(t, migrations.Schema, nil)
	ignore := goleak.IgnoreCurrent()
	ports := apptest.FreePorts(t, Name)
	tokens := grpctest.NewTokens(t, time.Now)
	c := apptest.Parse[Config](t, Name, ports, database)

	app := start(t, c)
	conn := apptest.Dial(t, ports.GRPC)
	users, directory := identityv1.NewUserServiceClient(conn), identityv1.NewUserDirectoryServiceClient(conn)
	migrate(t, conn, ports.Ops, database)

	created, err := directory.RegisterUser(apptest.As(t.Context(), "auth"), &identityv1.RegisterUserRequest{Id: uuid.NewString(), Email: "ada@example.com"})
	check.NoError(t, err)
	u := created.GetUser()
	claims := tokens.Claims(u.GetId())
	claims.OrganizationID = u.GetOrganizationId()
	person := metadata.AppendToOutgoingContext(apptest.As(t.Context(), "gateway"), "authorization", "Bearer "+tokens.Sign(claims))

	// R62: without Auth's keys nobody is believed, and nobody is told that the token is wrong.
	_, err = users.GetUser(person, &identityv1.GetUserRequest{Id: u.GetId()})
	grpctest.WantCode(t, err, codes.Unavailable)

	auth := startAuth(t, ports.Upstream("auth"), tokens)
	check.Eventually(t, "the token is accepted", func() bool {
		_, err := users.GetUser(person, &identityv1.GetUserRequest{Id: u.GetId()})
		return err == nil
	})
	_, err = users.GetMe(person, &identityv1.GetMeRequest{})
	grpctest.WantCode(t, err, codes.Unavailable)
	authz, stopAuthz := startAuthz(t, ports.Upstream("authz"))
	check.Eventually(t, "permissions are answered", func() bool {
		me, err := users.GetMe(person, &identityv1.GetMeRequest{})
		return err == nil && len(me.GetPermissions()) == 1
	})
	auth.removeLoginFails.Store(true)
	_, err = users.DeleteUser(person, &identityv1.DeleteUserRequest{Id: u.GetId()})
	grpctest.WantCode(t, err, codes.Unavailable)
	_, err = users.GetUser(person, &identityv1.GetUserRequest{Id: u.GetId()})
	grpctest.WantCode(t, err, codes.NotFound)
	app.RequireStop()

	pgtest.Exec(t, database, "update identity.users set deletion_due = now()") // instead of waiting until the claim of the request has run out
	auth.removeLoginFails.Store(false)
	audit, stopAudit := startAudit(t, ports.Upstream("audit"))
	app = start(t, c)
	check.Eventually(t, "the interrupted deletion is completed", func() bool {
		return auth.removed(u.GetId()) && pgtest.Count(t, database, "select count(*) from identity.users") == 0
	})
	check.Eventually(t, "everything is handed over", func() bool { // G2
		return slices.Equal(actions(audit, u.GetId()), []string{"user.created", "user.deleted"}) &&
			slices.Equal(actions(audit, u.GetOrganizationId()), []string{"organization.created", "organization.deleted"}) &&
			authz.Removed("user:"+u.GetId()) && authz.Removed("organization:"+u.GetOrganizationId())
	})
	check.Eventually(t, "the outbox is empty", func() bool { return pgtest.Count(t, database, "select count(*) from identity.outbox") == 0 })
	app.RequireStop()
	auth.stop()
	stopAuthz()
	stopAudit()
	check.NoError(t, conn.Close())
	goleak.VerifyNone(t, ignore)
}

// migrate sees that a program waits for its schema, and makes it.
func migrate(t *testing.T, conn *grpc.ClientConn, ops string, database pg.Config) {
	t.Helper()
	apptest.WaitHealth(t, conn, identityv1.UserService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
	check.Eventually(t, "/readyz says how to fix it", func() bool {
		return strings.Contains(apptest.Get(t, ops, "/readyz", http.StatusServiceUnavailable), "run `identity migrate`")
	})
	if err := (&MigrateConfig{Postgres: database}).Run(); err != nil {
		t.Fatal(err)
	}
	apptest.WaitHealth(t, conn, identityv1.UserService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	apptest.Get(t, ops, "/readyz", http.StatusOK)
}

func TestTakenPortStopsTheStart(t *testing.T) {
	ports := apptest.FreePorts(t, Name)
	c := apptest.Parse[Config](t, Name, ports, apptest.Nowhere(Name))
	apptest.TakenPort(t, ports.GRPC, c.Run)
}

func start(t *testing.T, c Config) *fxtest.App {
	t.Helper()
	return fxtest.New(t, options(c)).RequireStart()
}
