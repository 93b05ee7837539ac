package api_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	auditv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// Everybody reads what they did and what was done to them, auditors what they may; all others find nothing (R52).
func TestWhoMayReadWhat(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada, eve, organization := uuid.NewString(), uuid.NewString(), uuid.NewString()
	byAda := message(t, func(e *event.Event) { e.Actor.ID, e.OrganizationID = ada, organization })
	toAda := message(t, func(e *event.Event) { e.ObjectID = ada })
	s.ingest(t, "identity", byAda, toAda, message(t))
	auditor := uuid.NewString()
	s.grants.Allow(auditor, "can_read_audit", "organization:"+organization)

	for name, c := range map[string]struct {
		who  string
		r    *auditv1.ListEventsRequest
		want []string
	}{
		"what I did":             {ada, &auditv1.ListEventsRequest{ActorId: ada}, []string{idOf(t, byAda)}},
		"what was done to me":    {ada, &auditv1.ListEventsRequest{ObjectId: ada}, []string{idOf(t, toAda)}},
		"an organization's":      {auditor, &auditv1.ListEventsRequest{OrganizationId: organization}, []string{idOf(t, byAda)}},
		"narrowed further":       {auditor, &auditv1.ListEventsRequest{OrganizationId: organization, Action: "user.deleted"}, nil},
		"an organization's, A-F": {auditor, &auditv1.ListEventsRequest{OrganizationId: upper(organization)}, []string{idOf(t, byAda)}},
	} {
		got, err := s.as(c.who).ListEvents(t.Context(), c.r)
		if err != nil || !slices.Equal(ids(got.GetEvents()), c.want) {
			t.Errorf("%s: got %v, %v; want %v", name, ids(got.GetEvents()), err, c.want)
		}
	}
	for name, r := range map[string]*auditv1.ListEventsRequest{
		"everything": {}, "another's deeds": {ActorId: ada}, "done to another": {ObjectId: ada}, "an organization's": {OrganizationId: organization},
	} {
		if got, err := s.as(eve).ListEvents(t.Context(), r); err == nil {
			t.Errorf("%s: eve reads %v", name, got)
		}
	}
	all, err := s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{})
	if err != nil || len(all.GetEvents()) != 3 {
		t.Errorf("the platform's auditor: got %v, %v", all, err)
	}
}

func TestListedEventsAreWhole(t *testing.T) {
	t.Parallel()
	s := newService(t)
	m := message(t, func(e *event.Event) {
		e.Outcome, e.Reason, e.Count, e.TraceID = event.Failure, "WRONG_PASSWORD", 7, "0af7651916cd43dd8448eb211c80319c"
		e.Changes = append(e.Changes, event.Change{Field: "email", Value: []byte(`"ada@example.com"`), Personal: true})
	})
	s.ingest(t, "identity", m)
	list, err := s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{Outcome: "failure", RequestId: "request"})
	check.NoError(t, err)
	if len(list.GetEvents()) != 1 {
		t.Fatalf("got %v", list)
	}
	e := list.GetEvents()[0]
	if e.GetId() != idOf(t, m) || !e.GetTime().AsTime().Equal(trailtest.Start()) || e.GetAction() != "user.updated" ||
		e.GetMethod() != "gatehouse.identity.v1.UserService/UpdateUser" || e.GetOutcome() != "failure" || e.GetReason() != "WRONG_PASSWORD" ||
		e.GetActor().GetType() != "user" || e.GetActor().GetId() != "actor" || e.GetActor().GetSessionId() != "session" ||
		e.GetActor().GetClientId() != "gatehouse" || e.GetSource() != "identity" || e.GetCaller() != "gateway" || e.GetOrganizationId() == "" ||
		e.GetObjectType() != "user" || e.GetObjectId() != "object" || e.GetRequestId() != "request" || e.GetTraceId() == "" || e.GetOccurrences() != 7 ||
		e.GetCount() != 7 { //nolint:staticcheck // SA1019: clients of the last release read it
		t.Errorf("got %v", e)
	}
	changes := e.GetChanges()
	if len(changes) != 2 || changes[0].GetPersonal() || changes[1].GetField() != "email" || !changes[1].GetPersonal() {
		t.Fatalf("got changes %v", changes)
	}
	for i, want := range []string{"de", "ada@example.com"} {
		if got := changes[i].GetJsonValue().GetStringValue(); got != want {
			t.Errorf("change %d is %q, want %q", i, got, want)
		}
		if got := changes[i].GetValue(); got != strconv.Quote(want) { //nolint:staticcheck // SA1019: clients of the last release read it
			t.Errorf("change %d is the text %s, want %q in JSON", i, got, want)
		}
	}
}

// A value is told as it was stored, whatever kind of JSON it is; one that no client could decode
// is told as its size, and leaves the others of the page readable.
func TestValuesAreJSON(t *testing.T) {
	t.Parallel()
	s := newService(t)
	deep := func(levels int) string {
		return strings.Repeat(`[{"a":`, levels/2) + `"\\\"[{"` + strings.Repeat(`}]`, levels/2)
	}
	for stored, want := range map[string]string{
		`"de"`: `"de"`, `true`: `true`, `null`: `null`, `[1,"a",{"b":[]}]`: `[1,"a",{"b":[]}]`, `1.5`: `1.5`, `1e+21`: `1e+21`,
		`9007199254740993`: `"9007199254740993"`, `9007199254740991`: `9007199254740991`,
		deep(64): deep(64), deep(66): fmt.Sprintf(`{"omitted_bytes":%d}`, len(deep(66))), deep(9000): fmt.Sprintf(`{"omitted_bytes":%d}`, len(deep(9000))),
	} {
		m := message(t, func(e *event.Event) {
			e.Changes = []event.Change{{Field: "f", Value: json.RawMessage(stored)}}
		})
		s.ingest(t, "identity", m)
		list, err := s.auditor().ListEvents(t.Context(), &auditv1.ListEventsRequest{ObjectId: "object"})
		check.NoError(t, err)
		i := slices.IndexFunc(list.GetEvents(), func(e *auditv1.Event) bool { return e.GetId() == idOf(t, m) })
		text, err := json.Marshal(list.GetEvents()[i].GetChanges()[0].GetJsonValue())
		check.NoError(t, err)
		if string(text) != want {
			t.Errorf("%.80s is told as %.80s, want %.80s", stored, text, want)
		}
	}
}

func TestPagesOfEvents(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var want []string
	var messages []*auditv1.SealedEvent
	for i := range 10 {
		m := message(t, func(e *event.Event) { e.Time = trailtest.Start().Add(time.Duration(i/2) * time.Second) })
		messages, want = append(messages, m), append(want, idOf(t, m))
	}
	s.ingest(t, "identity", messages...)
	slices.Reverse(want)
	auditor := s.auditor()
	var got []string
	r := &auditv1.ListEventsRequest{ActorId: "actor", PageSize: 3}
	for {
		page, err := auditor.ListEvents(t.Context(), r)
		check.NoError(t, err)
		got = append(got, ids(page.GetEvents())...)
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			break
		}
		other := &auditv1.ListEventsRequest{ActorId: "actor", Outcome: "success", PageToken: r.GetPageToken()}
		_, err = auditor.ListEvents(t.Context(), other)
		grpctest.WantCode(t, err, codes.InvalidArgument) // another list
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	between, err := auditor.ListEvents(t.Context(), &auditv1.ListEventsRequest{
		StartTime: timestamppb.New(trailtest.Start().Add(time.Second)), EndTime: timestamppb.New(trailtest.Start().Add(3 * time.Second)),
	})
	if err != nil || !slices.Equal(ids(between.GetEvents()), want[4:8]) {
		t.Errorf("between: got %v, %v", ids(between.GetEvents()), err)
	}
}

// Events that are large make the page smaller than it was asked for, not an answer that no client takes; none is lost.
func TestPagesOfLargeEvents(t *testing.T) {
	t.Parallel()
	s := newService(t)
	large := json.RawMessage(strconv.Quote(strings.Repeat("x", 200<<10)))
	var want []string
	for i := range 30 {
		m := message(t, func(e *event.Event) {
			e.Time = trailtest.Start().Add(time.Duration(i) * time.Second)
			e.Changes = []event.Change{{Field: "writes", Value: large}}
		})
		s.ingest(t, "identity", m)
		want = append(want, idOf(t, m))
	}
	slices.Reverse(want)
	var got []string
	r := &auditv1.ListEventsRequest{PageSize: 1000}
	auditor := s.auditor()
	for {
		page, err := auditor.ListEvents(t.Context(), r)
		check.NoError(t, err)
		got = append(got, ids(page.GetEvents())...)
		if r.PageToken = page.GetNextPageToken(); r.GetPageToken() == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d events, want %d in their order", len(got), len(want))
	}
}

// An event whose personal values were erased is still read, listed and tailed; the value is empty, and that it was personal is seen.
func TestErasedValues(t *testing.T) {
	t.Parallel()
	s := newService(t)
	m := message(t, func(e *event.Event) {
		for _, field := range []string{"email", "display_name"} {
			e.Changes = append(e.Changes, event.Change{Field: field, Value: []byte(`"ada"`), Personal: true})
		}
	})
	auditor := s.auditor()
	early, err := auditor.TailEvents(t.Context(), &auditv1.TailEventsRequest{})
	check.NoError(t, err)
	beginning, err := early.Recv()
	check.NoError(t, err)
	s.ingest(t, "identity", m)
	_, err = s.owner.Exec(t.Context(), "delete from audit.personal_values where field = 'email'")
	check.NoError(t, err)
	list, err := auditor.ListEvents(t.Context(), &auditv1.ListEventsRequest{})
	check.NoError(t, err)
	listed := list.GetEvents()[0]
	if c := listed.GetChanges()[1]; c.GetField() != "email" || c.GetJsonValue() != nil || !c.GetPersonal() {
		t.Errorf("the erased value is %v", c)
	}
	if c := listed.GetChanges()[2]; c.GetJsonValue().GetStringValue() != "ada" || !c.GetPersonal() {
		t.Errorf("the other value is %v", c)
	}
	stream := begin(t, auditor, &auditv1.TailEventsRequest{Cursor: beginning.GetCursor()})
	if id, _ := next(t, stream); id != idOf(t, m) {
		t.Errorf("tailed %s", id)
	}
	if rejected := s.ingest(t, "identity", m); len(rejected) != 0 { // a relay that never heard of the first acknowledgement
		t.Errorf("rejected: %v", rejected)
	}
	list, err = auditor.ListEvents(t.Context(), &auditv1.ListEventsRequest{})
	if err != nil || len(list.GetEvents()) != 1 || list.GetEvents()[0].GetChanges()[1].GetJsonValue() != nil {
		t.Errorf("what comes again brings back what was erased: %v, %v", list, err)
	}
}

func TestBadListRequests(t *testing.T) {
	t.Parallel()
	s := newService(t)
	auditor := s.auditor()
	for name, r := range map[string]*auditv1.ListEventsRequest{
		"page token":   {PageToken: "x"},
		"padded token": {PageToken: "AAAA="},
		"page size":    {PageSize: 1001},
		"outcome":      {Outcome: "maybe"},
		"organization": {OrganizationId: "acme"},
		"U+0000":       {ActorId: "a\x00b"},
		"U+0000, id":   {RequestId: "\x00"},
		"time":         {StartTime: &timestamppb.Timestamp{Nanos: -1}},
		"late time":    {EndTime: &timestamppb.Timestamp{Seconds: 1 << 60}},
	} {
		if _, err := auditor.ListEvents(t.Context(), r); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			grpctest.WantCode(t, err, codes.InvalidArgument)
		}
	}
}

func ids(events []*auditv1.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.GetId())
	}
	return all
}
