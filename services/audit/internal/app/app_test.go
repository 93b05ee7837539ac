package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.uber.org/fx"
	"go.uber.org/fx/fxtest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

func TestAppIsComplete(t *testing.T) {
	if err := fx.ValidateApp(options(Config{})); err != nil {
		t.Fatal(err)
	}
}

// Two whole programs as they run on one machine, without their sidecars: they start before their
// schema and their upstreams are there, get ready by themselves, keep what is handed over, show it
// to each other's readers, record their own refusals, and stop without leaving anything behind.
func TestStartServeStop(t *testing.T) {
	serving, owner := pgtest.Split(t, migrations.Schema, nil)
	ignore := goleak.IgnoreCurrent()
	ports := apptest.FreePorts(t, Name)
	tokens := grpctest.NewTokens(t, time.Now)
	app := start(t, configured(t, ports, serving))
	conn := apptest.Dial(t, ports.GRPC)
	apptest.WaitHealth(t, conn, auditv1.IngestService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_NOT_SERVING)
	check.Eventually(t, "/readyz says how to fix it", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/readyz", http.StatusServiceUnavailable), "run `audit migrate`")
	})
	check.NoError(t, (&MigrateConfig{Postgres: owner}).Run())
	apptest.WaitHealth(t, conn, auditv1.IngestService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	apptest.Get(t, ports.Ops, "/readyz", http.StatusOK)

	ada, organization := uuid.NewString(), uuid.NewString()
	ingest(t, conn, func(e *event.Event) { e.Actor.ID, e.OrganizationID = ada, organization })

	// R62: without Auth nobody is believed, without Authz nobody is permitted anything, and nobody
	// is told that they may not.
	person := metadata.AppendToOutgoingContext(apptest.As(t.Context(), "gateway"), "authorization", "Bearer "+tokens.Sign(tokens.Claims(ada)))
	audit := auditv1.NewAuditServiceClient(conn)
	_, err := audit.ListEvents(person, &auditv1.ListEventsRequest{ActorId: ada})
	grpctest.WantCode(t, err, codes.Unavailable)
	stopAuth := startAuth(t, ports.Upstream("auth"), tokens)
	check.Eventually(t, "one's own events are listed", func() bool {
		list, err := audit.ListEvents(person, &auditv1.ListEventsRequest{ActorId: ada})
		return err == nil && len(list.GetEvents()) == 1
	})
	_, err = audit.ListEvents(person, &auditv1.ListEventsRequest{OrganizationId: organization})
	grpctest.WantCode(t, err, codes.Unavailable)
	authz, stopAuthz := startAuthz(t, ports.Upstream("authz"))
	check.Eventually(t, "Authz is asked", func() bool {
		_, err := audit.ListEvents(person, &auditv1.ListEventsRequest{OrganizationId: organization})
		return err != nil && status.Code(err) != codes.Unavailable
	})

	// R66: that refusal is an event of Audit's own.
	check.Eventually(t, "the refusal is in the trail", func() bool {
		list, err := audit.ListEvents(person, &auditv1.ListEventsRequest{ActorId: ada, Outcome: "denied"})
		if err != nil || len(list.GetEvents()) == 0 {
			return false
		}
		e := list.GetEvents()[0]
		return e.GetSource() == Name && e.GetAction() == "permission.denied" && e.GetObjectType() == "organization" && e.GetObjectId() == organization
	})
	authz.Allow.Store(true)
	list, err := audit.ListEvents(person, &auditv1.ListEventsRequest{OrganizationId: organization})
	if err != nil || len(list.GetEvents()) != 1 {
		t.Errorf("an auditor: got %v, %v", list, err)
	}

	second := tailElsewhere(t, serving, tokens, ada, func() {
		ingest(t, conn, func(e *event.Event) { e.Actor.ID = ada })
	})
	second.RequireStop()
	app.RequireStop()
	stopAuth()
	stopAuthz()
	check.NoError(t, conn.Close())
	goleak.VerifyNone(t, ignore)
}

// tailElsewhere follows ada's events at another instance while they are made.
func tailElsewhere(t *testing.T, database pg.Config, tokens *grpctest.Tokens, ada string, act func()) *fxtest.App {
	t.Helper()
	ports := apptest.FreePorts(t, Name)
	stopAuth := startAuth(t, ports.Upstream("auth"), tokens)
	defer stopAuth()
	app := start(t, configured(t, ports, database))
	conn := apptest.Dial(t, ports.GRPC)
	defer func() { check.NoError(t, conn.Close()) }()
	apptest.WaitHealth(t, conn, auditv1.IngestService_ServiceDesc.ServiceName, healthpb.HealthCheckResponse_SERVING)
	person := metadata.AppendToOutgoingContext(apptest.As(t.Context(), "gateway"), "authorization", "Bearer "+tokens.Sign(tokens.Claims(ada)))
	var stream grpc.ServerStreamingClient[auditv1.TailEventsResponse]
	check.Eventually(t, "the tail begins", func() bool {
		s, err := auditv1.NewAuditServiceClient(conn).TailEvents(person, &auditv1.TailEventsRequest{ActorId: ada})
		check.NoError(t, err)
		_, err = s.Recv()
		stream = s
		return err == nil
	})
	act()
	for {
		m, err := stream.Recv()
		check.NoError(t, err)
		if m.GetEvent() != nil {
			if m.GetEvent().GetAction() != "user.updated" {
				t.Errorf("got %v", m)
			}
			return app
		}
	}
}

// The role that owns the schema could change what is stored: the program is not ready as it.
func TestServingAsTheOwnerIsNotReady(t *testing.T) {
	_, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	ports := apptest.FreePorts(t, Name)
	app := start(t, configured(t, ports, owner))
	check.Eventually(t, "/readyz says how to fix it", func() bool {
		return strings.Contains(apptest.Get(t, ports.Ops, "/readyz", http.StatusServiceUnavailable), "serve as the role audit")
	})
	app.RequireStop()
}

// R86: while the lock of the trail cannot be had, the program says that nothing is stored. How soon
// is the business of internal/health, whose tests have a clock of their own.
func TestALockedTrailIsNotReady(t *testing.T) {
	serving, owner := pgtest.Split(t, migrations.Schema, migrations.Files)
	ports := apptest.FreePorts(t, Name)
	app := start(t, configured(t, ports, serving))
	ops := ports.Ops
	check.Eventually(t, "the program is ready", func() bool { return status200(t, ops) })
	holder, err := pgx.Connect(t.Context(), owner.URL.Reveal())
	check.NoError(t, err)
	defer func() { _ = holder.Close(t.Context()) }()
	_, err = holder.Exec(t.Context(), "begin; lock table audit.coordination in exclusive mode")
	check.NoError(t, err)
	check.Eventually(t, "the program is not ready", func() bool { return !status200(t, ops) })
	if text := apptest.Get(t, ops, "/readyz", http.StatusServiceUnavailable); !strings.Contains(text, "nothing can be stored") {
		t.Errorf("/readyz says %s", text)
	}
	_, err = holder.Exec(t.Context(), "rollback")
	check.NoError(t, err)
	check.Eventually(t, "the program is ready again", func() bool { return status200(t, ops) })
	app.RequireStop()
}

func status200(t *testing.T, ops string) bool {
	t.Helper()
	r, err := http.Get("http://" + ops + "/readyz")
	check.NoError(t, err)
	check.NoError(t, r.Body.Close())
	return r.StatusCode == http.StatusOK
}

func TestTakenPortStopsTheStart(t *testing.T) {
	ports := apptest.FreePorts(t, Name)
	c := configured(t, ports, apptest.Nowhere(Name))
	apptest.TakenPort(t, ports.GRPC, c.Run)
}

// ingest hands one event over as Identity does, and waits for its acknowledgement.
func ingest(t *testing.T, conn *grpc.ClientConn, change func(*event.Event)) {
	t.Helper()
	sealed, err := trailtest.Event(change).Seal(rand.Reader)
	check.NoError(t, err)
	one := &auditv1.SealedEvent{Canonical: sealed.Canonical}
	for _, v := range sealed.Personal {
		one.Personal = append(one.Personal, &auditv1.PersonalValue{Field: v.Field, Salt: v.Salt, Value: v.Value})
	}
	ctx, cancel := context.WithCancel(apptest.As(t.Context(), "identity"))
	defer cancel()
	stream, err := auditv1.NewIngestServiceClient(conn).Ingest(ctx)
	check.NoError(t, err)
	check.NoError(t, stream.Send(&auditv1.IngestRequest{Batch: 1, Events: []*auditv1.SealedEvent{one}}))
	r, err := stream.Recv()
	check.NoError(t, err)
	if r.GetBatch() != 1 || len(r.GetRejected()) != 0 {
		t.Fatalf("got %v", r)
	}
	check.NoError(t, stream.CloseSend())
	if _, err := stream.Recv(); err != io.EOF {
		t.Fatal(err)
	}
}

// configured is the default configuration with a database and a key of the log.
func configured(t *testing.T, ports apptest.Ports, db pg.Config, more ...string) Config {
	t.Helper()
	return apptest.Parse[Config](t, Name, ports, db, append(more, "GATEHOUSE_AUDIT_KEY_FILE="+keyFile(t, 1))...)
}

// keyFile writes a key of the log and returns its path.
func keyFile(t *testing.T, fill byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.key")
	check.NoError(t, os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, ledger.SeedLength))), 0o600))
	return path
}

func start(t *testing.T, c Config) *fxtest.App {
	t.Helper()
	return fxtest.New(t, options(c)).RequireStart()
}
