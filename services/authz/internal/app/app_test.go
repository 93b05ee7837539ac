package app

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

func TestAppIsComplete(t *testing.T) {
	if err := fx.ValidateApp(options(Config{})); err != nil {
		t.Fatal(err)
	}
}

// The whole program as it runs on one machine, without its sidecar: it starts before Auth, Audit
// and its schemas are there, gets ready by itself, completes a change that a dead instance left
// behind, hands over what happened as soon as Audit is there, and stops without leaving anything
// behind.
func TestStartServeStop(t *testing.T) {
	database := pgtest.Config(t, migrations.Schema, nil)
	ignore := goleak.IgnoreCurrent()
	ports := apptest.FreePorts(t, Name)
	tokens := grpctest.NewTokens(t, time.Now)
	c := apptest.Parse[Config](t, Name, ports, database)

	app := start(t, c)
	conn := apptest.Dial(t, ports.GRPC)
	authz, relationships := authzv1.NewAuthzServiceClient(conn), authzv1.NewRelationshipServiceClient(conn)
	apptest.WaitHealth(t, conn, authzv1.AuthzService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
	check.Eventually(t, "/readyz says how to fix it", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/readyz", http.StatusServiceUnavailable), "run `authz migrate`")
	})
	// R62: what cannot be known is not allowed.
	ask := func(relation string) (bool, error) {
		answer, err := authz.BatchCheck(apptest.As(t.Context(), "identity"), &authzv1.BatchCheckRequest{
			Subject: "user:u", Questions: []*authzv1.Question{{Relation: relation, Object: "organization:o"}},
		})
		return err == nil && answer.GetAllowed()[0], err
	}
	_, err := ask("member")
	grpctest.WantCode(t, err, codes.Unavailable)
	for range 2 { // as often as one likes
		if err := (&MigrateConfig{Postgres: database}).Run(); err != nil {
			t.Fatal(err)
		}
	}
	apptest.WaitHealth(t, conn, authzv1.AuthzService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	apptest.Get(t, ports.Ops, "/readyz", http.StatusOK)

	root := uuid.NewString()
	_, err = authz.WriteRelationships(apptest.As(t.Context(), "auth"), &authzv1.WriteRelationshipsRequest{Id: uuid.NewString(), Writes: []*authzv1.Relationship{
		{Object: "platform:gatehouse", Relation: "administrator", Subject: "user:" + root},
	}})
	check.NoError(t, err)
	person := metadata.AppendToOutgoingContext(apptest.As(t.Context(), "gateway"), "authorization", "Bearer "+tokens.Sign(tokens.Claims(root)))
	_, err = relationships.ListRelationships(person, &authzv1.ListRelationshipsRequest{})
	grpctest.WantCode(t, err, codes.Unavailable) // R62: without Auth's keys nobody is believed
	stopAuth := startAuth(t, ports.Upstream("auth"), tokens)
	check.Eventually(t, "the token is accepted", func() bool {
		_, err := relationships.ListRelationships(person, &authzv1.ListRelationshipsRequest{})
		return err == nil
	})
	stranger := metadata.AppendToOutgoingContext(apptest.As(t.Context(), "gateway"), "authorization", "Bearer "+tokens.Sign(tokens.Claims(uuid.NewString())))
	_, err = relationships.ListRelationships(stranger, &authzv1.ListRelationshipsRequest{})
	grpctest.WantCode(t, err, codes.PermissionDenied)
	app.RequireStop()

	abandon(t, database, "organization:o#owner@user:u")
	audit, stopAudit := startAudit(t, ports.Upstream("audit"))
	app = start(t, c)
	check.Eventually(t, "the abandoned change is completed", func() bool {
		allowed, err := ask("can_read")
		return err == nil && allowed
	})
	check.Eventually(t, "everything is handed over", func() bool { // G2
		return arrived(audit, "authz.relationships_written") == 2 && arrived(audit, "permission.denied") == 1
	})
	check.Eventually(t, "the outbox is empty", func() bool { return pgtest.Count(t, database, "select count(*) from authz.outbox") == 0 })
	app.RequireStop()
	stopAuth()
	stopAudit()
	check.NoError(t, conn.Close())
	goleak.VerifyNone(t, ignore)
}

// abandon leaves a change behind as an instance does that dies before it wrote.
func abandon(t *testing.T, database pg.Config, text string) {
	t.Helper()
	t.Run("abandon", func(t *testing.T) { // ends the instance
		i := postgrestest.Open(t, database, postgrestest.Options{Lease: postgrestest.Over, Engine: func(e *fga.Engine) relationship.Engine { return dead{e} }})
		_, err := i.Write(postgrestest.Draft(t.Context(), "identity"), "identity",
			relationship.Change{ID: uuid.NewString(), Writes: postgrestest.Tuples(t, text)}, nil)
		if !errors.Is(err, errDead) {
			t.Fatalf("got %v", err)
		}
	})
}

var errDead = errors.New("dead")

// dead is an engine that does not write any more.
type dead struct{ relationship.Engine }

// Write writes nothing.
func (dead) Write(context.Context, []relation.Tuple, []relation.Tuple) error { return errDead }

func TestTakenPortStopsTheStart(t *testing.T) {
	ports := apptest.FreePorts(t, Name)
	c := apptest.Parse[Config](t, Name, ports, apptest.Nowhere(Name))
	apptest.TakenPort(t, ports.GRPC, c.Run)
}

func start(t *testing.T, c Config) *fxtest.App {
	t.Helper()
	return fxtest.New(t, options(c)).RequireStart()
}
