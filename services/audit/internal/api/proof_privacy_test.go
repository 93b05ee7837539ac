package api_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

const rootsSession = "roots-session"

// withSession is an event as a program of before seals it: the session of its actor is in the bytes.
func withSession(t *testing.T, change func(*event.Event)) *auditv1.SealedEvent {
	t.Helper()
	m := message(t, change, func(e *event.Event) { e.Actor.SessionID, e.ClientAgent = "", "curl/8.5.0" })
	m.Canonical = bytes.Replace(m.GetCanonical(), []byte(`"type":"user"`), []byte(`"session_id":"`+rootsSession+`","type":"user"`), 1)
	e, err := event.Parse(m.GetCanonical())
	if err != nil || e.Actor.SessionID != rootsSession {
		t.Fatalf("an event of before: %v, %v", e, err)
	}
	return m
}

// proven is what a proof tells beside its bytes, after it was verified under the newest checkpoint.
func proven(t *testing.T, client auditv1.LogServiceClient, organization, id string) (fields []string, canonical []byte, err error) {
	t.Helper()
	p, err := client.GetEventProof(t.Context(), &auditv1.GetEventProofRequest{EventId: id, OrganizationId: organization})
	if err != nil {
		return nil, nil, err
	}
	proof, err := auditlog.Hashes(p.GetHashes())
	check.NoError(t, err)
	head, err := auditlog.ParseNote([]byte(p.GetCheckpoint()))
	check.NoError(t, err)
	entry := auditlog.Entry{Index: p.GetLeafIndex(), Canonical: p.GetCanonical(), Proof: proof}
	for _, v := range p.GetPersonal() {
		entry.Personal = append(entry.Personal, event.Personal{Field: v.GetField(), Salt: v.GetSalt(), Value: v.GetValue()})
		fields = append(fields, v.GetField())
	}
	if _, err := auditlog.VerifyEntry(head, entry); err != nil {
		t.Errorf("event %s is not proven: %v", id, err)
	}
	slices.Sort(fields)
	return fields, p.GetCanonical(), nil
}

// R93: a proof tells of an event what lists tell the same reader, and the right to proofs is not the
// right to read. Events of before, whose bytes name the session, are proven to who may see that.
func TestProofsTellWhatListsTell(t *testing.T) {
	t.Parallel()
	s := newService(t)
	root, organization, now, before := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	by := func(id string) func(*event.Event) {
		return func(e *event.Event) {
			e.ID, e.OrganizationID, e.ClientAddress, e.ClientAgent = id, organization, "203.0.113.7", "curl/8.5.0"
			e.Actor = event.Actor{Type: event.User, ID: root, SessionID: rootsSession}
			e.Changes = []event.Change{{Field: "user.display_name", Value: []byte(`"Ada"`), Personal: true}}
		}
	}
	s.ingest(t, "identity", message(t, by(now)), withSession(t, by(before)))
	s.grow(t)
	name, client := []string{"user.display_name"}, []string{"@client.address", "@client.agent", "user.display_name"}
	for who, c := range map[string]struct {
		user     string
		proves   string // an object
		reads    string // another one
		personal []string
		session  bool // is told
	}{
		"a tenant's prover":                        {uuid.NewString(), "organization:" + organization, "", nil, false},
		"a tenant's prover who reads":              {uuid.NewString(), "organization:" + organization, "organization:" + organization, name, false},
		"a tenant's prover who reads elsewhere":    {uuid.NewString(), "organization:" + organization, "organization:" + uuid.NewString(), nil, false},
		"a tenant's prover who reads everything":   {uuid.NewString(), "organization:" + organization, "platform:gatehouse", client, true},
		"the platform's prover":                    {uuid.NewString(), "platform:gatehouse", "", nil, false},
		"the platform's prover who reads a tenant": {uuid.NewString(), "platform:gatehouse", "organization:" + organization, name, false},
		"the platform's auditor":                   {uuid.NewString(), "platform:gatehouse", "platform:gatehouse", client, true},
		"who did it":                               {root, "organization:" + organization, "organization:" + organization, client, true},
	} {
		s.grants.Allow(c.user, "can_prove_audit", c.proves)
		if c.reads != "" {
			s.grants.Allow(c.user, "can_read_audit", c.reads)
		}
		prover, asked := auditv1.NewLogServiceClient(s.AsUser(s.Tokens.Claims(c.user))), ""
		if c.proves != "platform:gatehouse" {
			asked = organization
		}
		personal, canonical, err := proven(t, prover, asked, now)
		if err != nil || !slices.Equal(personal, c.personal) || bytes.Contains(canonical, []byte(rootsSession)) {
			t.Errorf("%s is told %v and %s, %v: want %v and no session", who, personal, canonical, err, c.personal)
		}
		personal, canonical, err = proven(t, prover, asked, before)
		if !c.session {
			wantReason(t, err, codes.PermissionDenied, "SESSION_IN_BYTES")
			continue
		}
		if err != nil || !slices.Equal(personal, c.personal) || !bytes.Contains(canonical, []byte(rootsSession)) {
			t.Errorf("%s is told %v and %s of an event of before, %v", who, personal, canonical, err)
		}
	}
	s.lists(t, organization, root)
}

// lists tell the session of both forms to who may read everything, and to nobody else.
func (s service) lists(t *testing.T, organization, root string) {
	t.Helper()
	auditor := uuid.NewString()
	s.grants.Allow(auditor, "can_read_audit", "organization:"+organization)
	for who, c := range map[string]struct {
		reader  auditv1.AuditServiceClient
		filter  *auditv1.ListEventsRequest
		session string
	}{
		"the platform's auditor": {s.auditor(), &auditv1.ListEventsRequest{OrganizationId: organization}, rootsSession},
		"who did it":             {s.as(root), &auditv1.ListEventsRequest{ActorId: root}, rootsSession},
		"a tenant's auditor":     {s.as(auditor), &auditv1.ListEventsRequest{OrganizationId: organization}, ""},
	} {
		page, err := c.reader.ListEvents(t.Context(), c.filter)
		check.NoError(t, err)
		if len(page.GetEvents()) != 2 {
			t.Fatalf("%s: %v", who, page)
		}
		for _, e := range page.GetEvents() {
			if e.GetActor().GetSessionId() != c.session || (e.GetClientAgent() != "") != (c.session != "") || len(e.GetChanges()) != 1 {
				t.Errorf("%s is told %v", who, e)
			}
		}
	}
}
