package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
)

func newKeys(t testing.TB) ledger.Keys {
	t.Helper()
	keys, err := ledger.NewKeys(bytes.Repeat([]byte{1}, ledger.SeedLength), nil)
	check.NoError(t, err)
	return keys
}

func (s service) grow(t *testing.T) {
	t.Helper()
	check.NoError(t, ledger.NewSequencer(postgres.NewLog(s.pool), newKeys(t), "id.example.com").Grow(t.Context()))
}

// prover may read what the object allows, and have it proven.
func (s service) prover(object string) auditv1.LogServiceClient {
	return auditv1.NewLogServiceClient(s.asProver(object))
}

func (s service) asProver(object string) *grpc.ClientConn {
	id := uuid.NewString()
	s.grants.Allow(id, "can_prove_audit", object)
	s.grants.Allow(id, "can_read_audit", object)
	return s.AsUser(s.Tokens.Claims(id))
}

// R69: what comes over the API is verified by the tools of Go's checksum database alone.
func TestProofsOverTheAPI(t *testing.T) {
	t.Parallel()
	s := newService(t)
	organization, other, id := uuid.NewString(), uuid.NewString(), uuid.NewString()
	one := message(t, func(e *event.Event) {
		e.ID, e.OrganizationID, e.ClientAddress = id, organization, "203.0.113.7"
		e.Changes = []event.Change{{Field: "user.display_name", Value: []byte(`"Ada"`), Personal: true}}
	})
	s.ingest(t, "identity", one, message(t), message(t, func(e *event.Event) { e.OrganizationID = other }))
	platform, tenant := s.prover("platform:gatehouse"), s.prover("organization:"+organization)
	_, err := platform.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{})
	wantReason(t, err, codes.Unavailable, "CHECKPOINT_NOT_YET")
	s.grow(t)

	c, err := tenant.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{OrganizationId: organization})
	check.NoError(t, err)
	verifier, err := note.NewVerifier(c.GetVerifierKeys()[0])
	check.NoError(t, err)
	opened, err := note.Open([]byte(c.GetCheckpoint()), note.VerifierList(verifier))
	check.NoError(t, err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != "id.example.com/audit/1" || lines[1] != "3" {
		t.Fatalf("the checkpoint says %q", opened.Text)
	}
	root, err := tlog.ParseHash(lines[2])
	check.NoError(t, err)

	for name, c := range map[string]struct {
		client       auditv1.LogServiceClient
		organization string
		personal     []string
	}{
		"the platform": {platform, "", []string{"@client.address", "@client.agent", "user.display_name"}},
		"a tenant":     {tenant, organization, []string{"user.display_name"}}, // R90: where somebody was is the platform's
	} {
		p, err := c.client.GetEventProof(t.Context(), &auditv1.GetEventProofRequest{EventId: id, OrganizationId: c.organization})
		check.NoError(t, err)
		proof := make(tlog.RecordProof, len(p.GetHashes()))
		for i, h := range p.GetHashes() {
			proof[i] = tlog.Hash(h)
		}
		if err := tlog.CheckRecord(proof, p.GetTreeSize(), root, p.GetLeafIndex(), tlog.RecordHash(one.GetCanonical())); err != nil || !bytes.Equal(p.GetCanonical(), one.GetCanonical()) {
			t.Errorf("%s: %v", name, err)
		}
		var personal []string
		for _, v := range p.GetPersonal() {
			personal = append(personal, v.GetField())
		}
		if slices.Sort(personal); !slices.Equal(personal, c.personal) {
			t.Errorf("%s is told %v", name, personal)
		}
	}
	proof, err := tenant.GetConsistencyProof(t.Context(), &auditv1.GetConsistencyProofRequest{FirstSize: 2, OrganizationId: organization})
	if err != nil || proof.GetSecondSize() != 3 || len(proof.GetHashes()) == 0 {
		t.Errorf("consistency: %v, %v", proof, err)
	}
	_, err = tenant.GetConsistencyProof(t.Context(), &auditv1.GetConsistencyProofRequest{FirstSize: 4, OrganizationId: organization})
	wantReason(t, err, codes.FailedPrecondition, "SIZE_NOT_YET")
}

// R93: who reads the trail has no proofs by that, and an organization's grant leads to its own
// events alone.
func TestProofsNeedTheirRight(t *testing.T) {
	t.Parallel()
	s := newService(t)
	organization, id := uuid.NewString(), uuid.NewString()
	s.ingest(t, "identity", message(t, func(e *event.Event) { e.ID = id }))
	s.grow(t)
	reader := auditv1.NewLogServiceClient(s.asAuditor())
	tenant := s.prover("organization:" + organization)
	for name, client := range map[string]auditv1.LogServiceClient{"a reader of the whole trail": reader, "a tenant, without its name": tenant} {
		_, err := client.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{})
		if grpctest.WantCode(t, err, codes.PermissionDenied); err == nil {
			t.Errorf("%s gets a checkpoint", name)
		}
		_, err = client.GetEventProof(t.Context(), &auditv1.GetEventProofRequest{EventId: id})
		grpctest.WantCode(t, err, codes.PermissionDenied)
		_, err = client.GetConsistencyProof(t.Context(), &auditv1.GetConsistencyProofRequest{FirstSize: 1})
		grpctest.WantCode(t, err, codes.PermissionDenied)
	}
	_, foreign := tenant.GetEventProof(t.Context(), &auditv1.GetEventProofRequest{EventId: id, OrganizationId: organization})
	_, unknown := tenant.GetEventProof(t.Context(), &auditv1.GetEventProofRequest{EventId: uuid.NewString(), OrganizationId: organization})
	wantReason(t, foreign, codes.NotFound, "EVENT_NOT_FOUND")
	if foreign.Error() != unknown.Error() {
		t.Errorf("somebody else's event is answered %v, none %v", foreign, unknown)
	}
}

func wantReason(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	grpctest.WantCode(t, err, code)
	if !strings.Contains(fmt.Sprint(status.Convert(err).Details()), reason) {
		t.Fatalf("got %v, want %s", status.Convert(err).Details(), reason)
	}
}

// A log that was halted goes on under its next name, and the trail says why and from where.
func TestReopenLog(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.ingest(t, "identity", message(t), message(t))
	id := uuid.NewString()
	s.grants.Allow(id, "can_reopen_audit", "platform:gatehouse")
	s.grants.Allow(id, "can_prove_audit", "platform:gatehouse")
	root := auditv1.NewLogServiceClient(s.AsUser(s.Tokens.Claims(id)))
	_, err := root.ReopenLog(t.Context(), &auditv1.ReopenLogRequest{Reason: "too early"})
	wantReason(t, err, codes.Unavailable, "CHECKPOINT_NOT_YET")
	s.grow(t)
	before, err := root.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{})
	check.NoError(t, err)
	_, err = s.pool.Exec(t.Context(), "insert into audit.halts (origin, cause, checkpoint) values (1, 'a test', '')")
	check.NoError(t, err)
	s.ingest(t, "identity", message(t))
	if err := ledger.NewSequencer(postgres.NewLog(s.pool), newKeys(t), "x").Grow(t.Context()); !errors.Is(err, ledger.ErrHalted) {
		t.Fatalf("a halted log: %v", err)
	}
	_, err = s.prover("platform:gatehouse").ReopenLog(t.Context(), &auditv1.ReopenLogRequest{Reason: "not allowed"})
	grpctest.WantCode(t, err, codes.PermissionDenied)
	next, err := root.ReopenLog(t.Context(), &auditv1.ReopenLogRequest{Reason: "restored a backup"})
	check.NoError(t, err)
	if next.GetOrigin() != "id.example.com/audit/2" || next.GetCheckpoint() != before.GetCheckpoint() {
		t.Errorf("got %v", next)
	}
	s.grow(t)
	after, err := root.GetCheckpoint(t.Context(), &auditv1.GetCheckpointRequest{})
	check.NoError(t, err)
	if !strings.HasPrefix(after.GetCheckpoint(), "id.example.com/audit/2\n3\n") || !strings.HasPrefix(after.GetVerifierKeys()[0], "id.example.com/audit/2+") {
		t.Errorf("got %v", after)
	}
	found := 0
	for _, e := range outboxtest.Events(t, s.pool, migrations.Schema) {
		if e.Action == "audit.log_reopened" && e.ObjectID == next.GetOrigin() {
			found++
			for _, want := range []string{"restored a backup", "id.example.com/audit/1"} {
				if !slices.ContainsFunc(e.Changes, func(c event.Change) bool { return strings.Contains(string(c.Value), want) }) {
					t.Errorf("the event does not name %q: %v", want, e.Changes)
				}
			}
		}
	}
	if found != 1 {
		t.Errorf("%d events", found)
	}
}
