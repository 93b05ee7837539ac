package api_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/api"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// newFixed is Authz with ids, clock and salts that are always the same.
func newFixed(t *testing.T) (service, *relationship.Service) {
	t.Helper()
	i := postgrestest.Open(t, postgrestest.Database(t), postgrestest.Options{})
	box := outboxtest.Fixed(t, i.Pool, "authz")
	store := postgres.NewCommands(postgres.Params{Pool: i.Pool, Outbox: box, Lease: postgrestest.Over})
	relations := relationship.NewService(relationship.Params{
		Store: store, Engine: i.Engine, Now: outboxtest.Now, NewID: outboxtest.IDs(6), Random: outboxtest.Salts{},
	})
	return service{instance: i, Server: grpctest.New(t, grpctest.Config{
		Program: "authz", Callers: grpctest.Consenting(t), Permissions: api.NewPermissions(relations, i.Engine), Refusals: outboxtest.Refusals(t, box),
		Registrations: []grpcserver.Registration{
			{Desc: &authzv1.AuthzService_ServiceDesc, Impl: newHandlers(t, i, relations)},
			{Desc: &authzv1.RelationshipService_ServiceDesc, Impl: api.NewRelationshipService(relations, i.Engine, outboxtest.IDs(4))},
		},
	})}, relations
}

const (
	changeID     = "99999999-9999-4999-8999-999999999999"
	organization = "44444444-4444-4444-8444-444444444444"
	root         = "22222222-2222-4222-8222-222222222222"
	ada          = "11111111-1111-4111-8111-111111111111"
)

// delivered is a change as Identity's outbox delivers it.
func delivered() *authzv1.WriteRelationshipsRequest {
	return &authzv1.WriteRelationshipsRequest{
		Id: changeID, Origin: &authzv1.Origin{ActorType: "user", ActorId: root, RequestId: "request-of-root", TraceId: "4bf92f3577b34da6a3ce929d0e0e4736"},
		Writes: relationships("user:"+ada+"#organization@organization:"+organization, "organization:"+organization+"#member@user:"+ada,
			"organization:"+organization+"#platform@platform:gatehouse"),
	}
}

// R66, R67: what each audited method, and each thing that happens without one, writes to the
// outbox, and how a command is stored: the same bytes for ever.
func TestCanonicalEvents(t *testing.T) {
	s, relations := newFixed(t)
	ctx := t.Context()
	programs := func(name, requestID string) authzv1.AuthzServiceClient {
		return authzv1.NewAuthzServiceClient(s.Through(name, requestID))
	}
	claims := s.Tokens.Claims(root)
	claims.OrganizationID, claims.SessionID = organization, "session-1"
	people := func(requestID string) authzv1.RelationshipServiceClient {
		return authzv1.NewRelationshipServiceClient(s.Through("gateway", requestID, "authorization", "Bearer "+s.Tokens.Sign(claims)))
	}
	grant := relationships("platform:gatehouse#administrator@user:" + ada)
	_, err := people("denied").UpdateRelationships(ctx, &authzv1.UpdateRelationshipsRequest{Writes: grant})
	if err == nil {
		t.Error("everybody is an administrator")
	}
	_, err = programs("auth", "first-administrator").WriteRelationships(ctx, &authzv1.WriteRelationshipsRequest{
		Id: "88888888-8888-4888-8888-888888888888", Writes: relationships("platform:gatehouse#administrator@user:" + root),
	})
	check.NoError(t, err)
	_, err = programs("identity", "root-exists").WriteRelationships(ctx, &authzv1.WriteRelationshipsRequest{
		Id: "55555555-5555-4555-8555-555555555555", Writes: relationships("user:" + root + "#organization@organization:" + organization),
	})
	check.NoError(t, err)
	for range 2 { // the outbox delivers at least once
		_, err = programs("identity", "delivered").WriteRelationships(ctx, delivered())
		check.NoError(t, err)
	}
	_, err = programs("auth", "not-owned").WriteRelationships(ctx, &authzv1.WriteRelationshipsRequest{
		Id: "77777777-7777-4777-8777-777777777777", Writes: relationships("organization:" + organization + "#owner@user:" + ada),
	})
	if err == nil {
		t.Error("Auth makes owners")
	}
	_, err = people("granted").UpdateRelationships(ctx, &authzv1.UpdateRelationshipsRequest{
		Writes: append(grant, relationships("group:g#member@user:"+ada)...), Preconditions: []*authzv1.Precondition{{Relationship: grant[0]}},
	})
	check.NoError(t, err)
	_, err = people("revoked").UpdateRelationships(ctx, &authzv1.UpdateRelationshipsRequest{Deletes: grant})
	check.NoError(t, err)
	_, err = programs("identity", "departs").ReserveDeparture(ctx, &authzv1.ReserveDepartureRequest{UserId: ada})
	check.NoError(t, err)
	_, err = programs("identity", "departs-by").ReserveDeparture(ctx, &authzv1.ReserveDepartureRequest{UserId: ada, Origin: delivered().GetOrigin()})
	check.NoError(t, err)
	_, err = programs("identity", "suspends").ReserveDeparture(ctx, &authzv1.ReserveDepartureRequest{UserId: ada, SuspensionRevision: 2})
	check.NoError(t, err)
	_, err = programs("identity", "suspended").SettleSuspension(ctx, &authzv1.SettleSuspensionRequest{UserId: ada, Revision: 2, Suspended: true})
	check.NoError(t, err)
	_, err = programs("identity", "returned").SettleSuspension(ctx, &authzv1.SettleSuspensionRequest{UserId: ada, Revision: 3})
	check.NoError(t, err)
	_, err = programs("identity", "gone").WriteRelationships(ctx, &authzv1.WriteRelationshipsRequest{
		Id: "66666666-6666-4666-8666-666666666666", DeleteAllOf: "user:" + ada, Origin: delivered().GetOrigin(),
	})
	check.NoError(t, err)
	if n, err := relations.Respell(ctx, "authz", postgrestest.Tuples(t, "group:g#member@user:AAAAAAAA-1111-4111-8111-111111111111")); n != 1 || err != nil {
		t.Errorf("respelt %d, %v", n, err)
	}
	golden.Check(t, "events.golden", outboxtest.Rows(t, s.instance.Pool, "authz"))
	outboxtest.CheckAudited(t, s.instance.Pool, "authz")
	golden.Check(t, "commands.golden", s.commands(t))
}

// command is a row of authz.commands.
type command struct {
	ID          string
	State       string
	Fingerprint []byte
	Writes      []string
	Deletes     []string
	EventID     string
	EventKey    string
	Event       []byte
}

func (s service) commands(t *testing.T) string {
	t.Helper()
	rows, err := s.instance.Pool.Query(t.Context(), `
		select id::text, state, fingerprint, writes, deletes, event_id::text, event_key, event from authz.commands order by event_id`)
	check.NoError(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[command])
	check.NoError(t, err)
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "%s %s %s\n  %s\n  +%v -%v\n  %s %s\n", c.ID, c.State, hex.EncodeToString(c.Fingerprint), hex.EncodeToString(c.Event), c.Writes, c.Deletes, c.EventID, c.EventKey)
	}
	return b.String()
}

// store inserts a row as it was written before.
func (s service) store(t *testing.T, name string) (c command) {
	t.Helper()
	check.NoError(t, json.Unmarshal([]byte(golden.Read(t, name)), &c))
	_, err := s.instance.Pool.Exec(t.Context(), `
		insert into authz.commands (id, state, fingerprint, writes, deletes, event_id, event_key, event, claim, claim_until, accept_time, end_time)
		values (@id, @state, @fingerprint, @writes, @deletes, @event_id, @event_key, @event, 1, now() - interval '1 minute', now() - interval '2 minutes',
			case when @state = 'accepted' then null else now() - interval '1 minute' end)`,
		pgx.StrictNamedArgs{
			"id": c.ID, "state": c.State, "fingerprint": c.Fingerprint, "writes": c.Writes, "deletes": c.Deletes, "event_id": c.EventID,
			"event_key": c.EventKey, "event": c.Event,
		})
	check.NoError(t, err)
	return c
}

// Commands that were stored before are read after: one that is delivered again is known, by its
// fingerprint, and not parked; one that was accepted is applied, and records the event that was
// sealed with it.
func TestCommandsOfBefore(t *testing.T) {
	t.Run("applied", func(t *testing.T) {
		s, _ := newFixed(t)
		s.store(t, "applied_command.json")
		_, err := authzv1.NewAuthzServiceClient(s.Through("identity", "again")).WriteRelationships(t.Context(), delivered())
		check.NoError(t, err)
		if rows := outboxtest.Rows(t, s.instance.Pool, "authz"); rows != "" {
			t.Errorf("a known command wrote\n%s", rows)
		}
		other := delivered()
		other.Writes = other.GetWrites()[:1]
		_, err = authzv1.NewAuthzServiceClient(s.Through("identity", "other")).WriteRelationships(t.Context(), other)
		if got := failure(t, err); got.Reason != "CHANGE_ID_TAKEN" {
			t.Errorf("another change under the id: %v", got)
		}
	})
	t.Run("accepted", func(t *testing.T) {
		s, _ := newFixed(t)
		c := s.store(t, "accepted_command.json")
		_, err := authzv1.NewAuthzServiceClient(s.Through("identity", "again")).WriteRelationships(t.Context(), delivered())
		check.NoError(t, err)
		if got, want := outboxtest.Rows(t, s.instance.Pool, "authz"), fmt.Sprintf("audit %s %s\n%s", c.EventID, c.EventKey, outboxtest.Payload(t, audit.Topic, c.Event)); got != want {
			t.Errorf("recorded\n%s\nwant\n%s", got, want)
		}
		for _, text := range c.Writes {
			if !s.instance.Has(t, text) {
				t.Errorf("%s is not there", text)
			}
		}
	})
}
