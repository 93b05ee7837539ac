package api_test

import (
	"encoding/base64"
	"maps"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
)

// R93: the session of who did something is for that person, and for a request that was admitted by
// the right to the whole trail.
func TestSessionsAreTheirOwners(t *testing.T) {
	t.Parallel()
	s := newService(t)
	root, ada, auditor, organization := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
	s.grants.Allow(auditor, "can_read_audit", "organization:"+organization)
	stream := begin(t, s.as(ada), &auditv1.TailEventsRequest{ObjectId: ada})
	s.ingest(t, "identity", message(t, func(e *event.Event) {
		e.Actor.ID, e.Actor.SessionID, e.ObjectID, e.OrganizationID = root, "roots-session", ada, organization
	}))
	for name, c := range map[string]struct {
		reader auditv1.AuditServiceClient
		filter *auditv1.ListEventsRequest
		want   string
	}{
		"whom it was done to":     {s.as(ada), &auditv1.ListEventsRequest{ObjectId: ada}, ""},
		"organization's auditor":  {s.as(auditor), &auditv1.ListEventsRequest{OrganizationId: organization}, ""},
		"who did it":              {s.as(root), &auditv1.ListEventsRequest{ActorId: root}, "roots-session"},
		"auditor of the platform": {s.auditor(), &auditv1.ListEventsRequest{ObjectId: ada}, "roots-session"},
	} {
		page, err := c.reader.ListEvents(t.Context(), c.filter)
		check.NoError(t, err)
		if len(page.GetEvents()) != 1 || page.GetEvents()[0].GetActor().GetId() != root || page.GetEvents()[0].GetActor().GetSessionId() != c.want {
			t.Errorf("%s: %v, want the session %q", name, page.GetEvents(), c.want)
		}
	}
	s.grants.Allow(ada, "can_read_audit", "platform:gatehouse") // which is not what admits her to what has her id
	page, err := s.as(ada).ListEvents(t.Context(), &auditv1.ListEventsRequest{ObjectId: ada})
	check.NoError(t, err)
	if got := page.GetEvents()[0].GetActor().GetSessionId(); got != "" {
		t.Errorf("an auditor who was admitted by the own id is told the session %q", got)
	}
	for {
		m, err := stream.Recv()
		check.NoError(t, err)
		if e := m.GetEvent(); e != nil {
			if e.GetActor().GetId() != root || e.GetActor().GetSessionId() != "" {
				t.Errorf("a tail tells %v", e.GetActor())
			}
			return
		}
	}
}

// R90: where a request came from is for who made it, and for a request that was admitted by the
// right to the whole trail; never for whom it was done to, also as the auditor of the own
// organization.
func TestWhereSomebodyWasIsTheirs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	root, ada, organization := uuid.NewString(), uuid.NewString(), uuid.NewString()
	s.grants.Allow(ada, "can_read_audit", "organization:"+organization) // it is her personal one
	stream := begin(t, s.as(ada), &auditv1.TailEventsRequest{ObjectId: ada})
	s.ingest(t, "identity", message(t, func(e *event.Event) {
		e.Actor.ID, e.ObjectID, e.OrganizationID, e.ClientAddress, e.ClientAgent = root, ada, organization, "203.0.113.7", "curl/8.5.0"
	}))
	s.ingest(t, "auth", message(t, func(e *event.Event) { // somebody tries her address
		e.Source, e.Actor, e.ObjectID, e.ClientAddress = "auth", event.Actor{Type: event.Anonymous}, ada, "203.0.113.9"
		e.Outcome, e.Reason = event.Failure, "INVALID_CREDENTIALS"
	}))
	for name, c := range map[string]struct {
		reader auditv1.AuditServiceClient
		filter *auditv1.ListEventsRequest
		want   []string // addresses
	}{
		"whom it was done to":          {s.as(ada), &auditv1.ListEventsRequest{ObjectId: ada}, []string{"", ""}},
		"her own organization":         {s.as(ada), &auditv1.ListEventsRequest{OrganizationId: organization}, []string{""}},
		"who did it":                   {s.as(root), &auditv1.ListEventsRequest{ActorId: root}, []string{"203.0.113.7"}},
		"the auditor of the platform":  {s.auditor(), &auditv1.ListEventsRequest{ObjectId: ada}, []string{"203.0.113.9", "203.0.113.7"}},
		"the auditor, about the actor": {s.auditor(), &auditv1.ListEventsRequest{ActorId: root}, []string{"203.0.113.7"}},
	} {
		page, err := c.reader.ListEvents(t.Context(), c.filter)
		check.NoError(t, err)
		got := map[string]int{}
		for _, e := range page.GetEvents() {
			got[e.GetClientAddress()]++
			if (e.GetClientAgent() != "") != (e.GetClientAddress() == "203.0.113.7") {
				t.Errorf("%s: %q calls itself %q", name, e.GetClientAddress(), e.GetClientAgent())
			}
			for _, change := range e.GetChanges() {
				if strings.Contains(change.GetField()+change.GetJsonValue().String(), "client") || strings.Contains(change.GetJsonValue().String(), "203.0.113") {
					t.Errorf("%s: a change tells %v", name, change)
				}
			}
		}
		want := map[string]int{}
		for _, address := range c.want {
			want[address]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: addresses %v, want %v", name, got, want)
		}
	}
	for seen := 0; seen < 2; {
		m, err := stream.Recv()
		check.NoError(t, err)
		if e := m.GetEvent(); e != nil {
			seen++
			if e.GetClientAddress() != "" || e.GetClientAgent() != "" {
				t.Errorf("a tail tells %v", e)
			}
		}
	}
}

// R93: cursors and page tokens are opaque, look different each time, and nobody makes one up (R91).
func TestPositionsAreSealed(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.ingest(t, "identity", message(t), message(t))
	auditor := s.auditor()
	first, second := begin(t, auditor, &auditv1.TailEventsRequest{}), begin(t, auditor, &auditv1.TailEventsRequest{})
	var cursors []string
	for _, stream := range []tail{first, second, first} { // signs of life: nothing happens
		m, err := stream.Recv()
		check.NoError(t, err)
		cursors = append(cursors, m.GetCursor())
	}
	if cursors[0] == cursors[1] || cursors[0] == cursors[2] || len(cursors[0]) != len(cursors[1]) || len(cursors[0]) > 64 {
		t.Errorf("one position has the cursors %q", cursors)
	}
	page, err := auditor.ListEvents(t.Context(), &auditv1.ListEventsRequest{PageSize: 1})
	check.NoError(t, err)
	sealed, err := base64.RawURLEncoding.DecodeString(cursors[0])
	check.NoError(t, err)
	sealed[len(sealed)-1] ^= 1
	for name, cursor := range map[string]string{
		"changed": base64.RawURLEncoding.EncodeToString(sealed), "not sealed": "AQAAAAAAAAAB", "a page token": page.GetNextPageToken(),
		"short": "Ag", "another version": "AA" + cursors[0][2:], "longer": cursors[0] + "AAAA",
	} {
		stream, err := auditor.TailEvents(t.Context(), &auditv1.TailEventsRequest{Cursor: cursor})
		check.NoError(t, err)
		if _, err = stream.Recv(); err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		grpctest.WantCode(t, err, codes.InvalidArgument)
		if said := violation(err); !strings.Contains(said, "another version made it, list the events") {
			t.Errorf("%s: %q does not say what to do", name, said)
		}
	}
	for name, token := range map[string]string{"a cursor": cursors[0], "changed": page.GetNextPageToken()[1:]} {
		if _, err := auditor.ListEvents(t.Context(), &auditv1.ListEventsRequest{PageSize: 1, PageToken: token}); err == nil {
			t.Errorf("page token, %s: accepted", name)
		} else {
			grpctest.WantCode(t, err, codes.InvalidArgument)
		}
	}
}

// violation returns what an answer says about its first field.
func violation(err error) string {
	for _, d := range status.Convert(err).Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			return bad.GetFieldViolations()[0].GetDescription()
		}
	}
	return ""
}
