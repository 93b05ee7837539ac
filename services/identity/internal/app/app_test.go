package app

import (
	"fmt"
	"net"
	"net/http"
	"os"
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
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/config"
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
	offset := freeOffset(t)
	tokens := grpctest.NewTokens(t, time.Now)
	c := parsed(t, database, offset)
	ports := portsOf(offset)

	app := start(t, c)
	conn := apptest.Dial(t, ports.self)
	users, directory := identityv1.NewUserServiceClient(conn), identityv1.NewUserDirectoryServiceClient(conn)
	migrate(t, conn, ports.ops, database)

	created, err := directory.RegisterUser(apptest.As(t.Context(), "auth"), &identityv1.RegisterUserRequest{Id: uuid.NewString(), Email: "ada@example.com"})
	check.NoError(t, err)
	u := created.GetUser()
	claims := tokens.Claims(u.GetId())
	claims.OrganizationID = u.GetOrganizationId()
	person := metadata.AppendToOutgoingContext(apptest.As(t.Context(), "gateway"), "authorization", "Bearer "+tokens.Sign(claims))

	// R62: without Auth's keys nobody is believed, and nobody is told that the token is wrong.
	_, err = users.GetUser(person, &identityv1.GetUserRequest{Id: u.GetId()})
	wantCode(t, err, codes.Unavailable)

	auth := startAuth(t, ports.auth, tokens)
	check.Eventually(t, "the token is accepted", func() bool {
		_, err := users.GetUser(person, &identityv1.GetUserRequest{Id: u.GetId()})
		return err == nil
	})
	_, err = users.GetMe(person, &identityv1.GetMeRequest{})
	wantCode(t, err, codes.Unavailable)
	authz, stopAuthz := startAuthz(t, ports.authz)
	check.Eventually(t, "permissions are answered", func() bool {
		me, err := users.GetMe(person, &identityv1.GetMeRequest{})
		return err == nil && len(me.GetPermissions()) == 1
	})
	auth.removeLoginFails.Store(true)
	_, err = users.DeleteUser(person, &identityv1.DeleteUserRequest{Id: u.GetId()})
	wantCode(t, err, codes.Unavailable)
	_, err = users.GetUser(person, &identityv1.GetUserRequest{Id: u.GetId()})
	wantCode(t, err, codes.NotFound)
	stop(t, app)

	exec(t, database, "update identity.users set deletion_due = now()") // instead of waiting until the claim of the request has run out
	auth.removeLoginFails.Store(false)
	audit, stopAudit := startAudit(t, ports.audit)
	app = start(t, c)
	check.Eventually(t, "the interrupted deletion is completed", func() bool { return auth.removed(u.GetId()) && count(t, database, "identity.users") == 0 })
	check.Eventually(t, "everything is handed over", func() bool { // G2
		return slices.Equal(audit.actions(u.GetId()), []string{"user.created", "user.deleted"}) &&
			slices.Equal(audit.actions(u.GetOrganizationId()), []string{"organization.created", "organization.deleted"}) &&
			authz.removed("user:"+u.GetId()) && authz.removed("organization:"+u.GetOrganizationId())
	})
	check.Eventually(t, "the outbox is empty", func() bool { return count(t, database, "identity.outbox") == 0 })
	stop(t, app)
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
	offset := freeOffset(t)
	l, err := net.Listen("tcp", portsOf(offset).self)
	check.NoError(t, err)
	defer func() { _ = l.Close() }()
	c := parsed(t, pg.Config{URL: config.NewSecret("postgres://identity@127.0.0.1:1/gatehouse")}, offset)
	err = c.Run()
	if err == nil || !strings.Contains(err.Error(), "another program listens on "+l.Addr().String()) {
		t.Fatalf("got %v, want a sentence about the taken port", err)
	}
}

// parsed is the configuration as the command line makes it, defaults included.
func parsed(t *testing.T, database pg.Config, offset int) Config {
	t.Helper()
	var cli struct {
		Serve Config `cmd:"" default:"withargs"`
	}
	_, err := config.Parse(Name, &cli, nil, []string{
		"GATEHOUSE_POSTGRES_URL=" + database.URL.Reveal(),
		fmt.Sprintf("GATEHOUSE_MESH_PORT_OFFSET=%d", offset),
		"GATEHOUSE_MESH_TRUST_DOMAIN=" + grpctest.Mesh().TrustDomain, "GATEHOUSE_MESH_DATACENTER=" + grpctest.Mesh().Datacenter,
		"GATEHOUSE_TOKEN_ISSUER=" + grpctest.Issuer,
		"GATEHOUSE_TOKEN_AUDIENCE=" + grpctest.Audience,
		"GATEHOUSE_DRAIN_DELAY=10ms",
		"GATEHOUSE_LOG_LEVEL=error",
	}, os.Stdout)
	check.NoError(t, err)
	return cli.Serve
}

func start(t *testing.T, c Config) *fxtest.App {
	t.Helper()
	return fxtest.New(t, options(c)).RequireStart()
}

func stop(t *testing.T, app *fxtest.App) {
	t.Helper()
	app.RequireStop()
}

func count(t *testing.T, c pg.Config, table string) (n int) {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	check.NoError(t, err)
	defer pool.Close()
	check.NoError(t, pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&n))
	return n
}

func exec(t *testing.T, c pg.Config, sql string) {
	t.Helper()
	pool, err := pg.Open(t.Context(), c)
	check.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), sql)
	check.NoError(t, err)
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Fatalf("got %v, want %v", err, want)
	}
}
