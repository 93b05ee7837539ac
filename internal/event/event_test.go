package event_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/event"
)

const id = "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11"

func full() event.Event {
	return event.Event{
		ID: id, Time: time.Date(2026, 3, 1, 12, 0, 5, 123456789, time.FixedZone("CET", 3600)), Source: "identity", Caller: "gateway",
		Action: "user.updated", Method: "gatehouse.identity.v1.UserService/UpdateUser", Outcome: event.Success,
		Actor:          event.Actor{Type: event.User, ID: "user-1", SessionID: "session-1", ClientID: "client-1"},
		OrganizationID: "8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01", ObjectType: "user", ObjectID: "user-2", RequestID: "request-1",
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
		Changes: []event.Change{
			{Field: "user.display_name", Value: json.RawMessage(`"Zoë <b>& \u2028"`)},
			{Field: "user.email", Value: json.RawMessage(` "a@example.org" `), Personal: true},
			{Field: "user.labels", Value: json.RawMessage(`{"b": 1.0, "a": [true, null, 1e2]}`)},
		},
	}
}

func seal(t testing.TB, e event.Event) event.Sealed {
	t.Helper()
	s, err := e.Seal(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sealedBefore is the event of full, whose actor's session stood in the bytes until it became a
// personal value. Such bytes are for ever: this text may never change.
const sealedBefore = `{"action":"user.updated","actor":{"client_id":"client-1","id":"user-1","session_id":"session-1","type":"user"},` +
	`"caller":"gateway","changes":[{"field":"user.display_name","value":"Zoë <b>& ` + "\u2028" + `"},` +
	`{"field":"user.email","hash":"esNhJXZJ-5hd_D_x_JKDIFD2h5WnZocUCSdfHjlnlIo","personal":true},` +
	`{"field":"user.labels","value":{"a":[true,null,100],"b":1}}],` +
	`"count":1,"id":"0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11","method":"gatehouse.identity.v1.UserService/UpdateUser",` +
	`"object_id":"user-2","object_type":"user","organization_id":"8f14e45f-ceea-467f-a8a5-1d3e0a2b6c01","outcome":"success",` +
	`"request_id":"request-1","source":"identity","time":"2026-03-01T11:00:05.123456Z","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","v":1}`

// The canonical bytes of version 1 are for ever: these texts may never change. The session of the
// actor is not in them (R93).
func TestCanonicalForm(t *testing.T) {
	s, err := full().Seal(bytes.NewReader(make([]byte, 2*event.SaltLen)))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(sealedBefore, `"session_id":"session-1",`, ``, 1)
	want = strings.Replace(want, `}}],"count"`, `}},{"field":"@client.agent","hash":"WxKzPTDSTKhMZYSMEkXwS36vNwzny7sxaalLHw4ltkc","personal":true}],"count"`, 1)
	if diff := cmp.Diff(want, string(s.Canonical)); diff != "" {
		t.Errorf("canonical bytes (-want +got):\n%s", diff)
	}
	wantPersonal := []event.Personal{
		{Field: "user.email", Salt: make([]byte, event.SaltLen), Value: `"a@example.org"`},
		{Field: "@client.agent", Salt: make([]byte, event.SaltLen), Value: `{"session":"session-1"}`},
	}
	if diff := cmp.Diff(wantPersonal, s.Personal); diff != "" {
		t.Errorf("personal values (-want +got):\n%s", diff)
	}
}

// What was sealed before, and what programs of before still seal beside this one, is read as what is
// sealed now: also the session.
func TestEventsOfBefore(t *testing.T) {
	s := event.Sealed{Canonical: []byte(sealedBefore), Personal: []event.Personal{{Field: "user.email", Salt: make([]byte, event.SaltLen), Value: `"a@example.org"`}}}
	if err := event.Verify(s); err != nil {
		t.Fatal(err)
	}
	before, err := s.Open()
	if err != nil || before.Actor.SessionID != "session-1" {
		t.Fatalf("opened as %+v, %v", before, err)
	}
	s, err = full().Seal(bytes.NewReader(make([]byte, 2*event.SaltLen)))
	if err != nil {
		t.Fatal(err)
	}
	now, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, now); diff != "" {
		t.Errorf("opened (-before +now):\n%s", diff)
	}
}

func TestSealedOpensAsItWas(t *testing.T) {
	s := seal(t, full())
	if err := event.Verify(s); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(s.Canonical), "a@example.org") {
		t.Error("the canonical bytes hold a personal value")
	}
	got, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	want := full()
	want.Time = time.Date(2026, 3, 1, 11, 0, 5, 123456000, time.UTC)
	want.Count = 1
	want.Changes[0].Value = json.RawMessage("\"Zoë <b>& \u2028\"")
	want.Changes[1].Value, want.Changes[1].Hash = json.RawMessage(`"a@example.org"`), got.Changes[1].Hash
	want.Changes[2].Value = json.RawMessage(`{"a":[true,null,100],"b":1}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("opened (-want +got):\n%s", diff)
	}
	again, err := event.UnmarshalSealed(event.MarshalSealed(s))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Errorf("unmarshalled (-want +got):\n%s", diff)
	}
}

// Erasing a personal value leaves the canonical bytes, and with them every proof, as they are.
func TestErasedValueLeavesTheEventReadable(t *testing.T) {
	s := seal(t, full())
	s.Personal = nil
	e, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	if c := e.Changes[1]; c.Value != nil || !c.Personal || c.Hash == "" {
		t.Errorf("change %+v", c)
	}
	if event.Verify(s) == nil {
		t.Error("Verify accepts an event whose personal value is missing")
	}
}

func TestEqualValuesHaveDifferentHashes(t *testing.T) {
	first, err := event.Parse(seal(t, full()).Canonical)
	if err != nil {
		t.Fatal(err)
	}
	second, err := event.Parse(seal(t, full()).Canonical)
	if err != nil {
		t.Fatal(err)
	}
	if first.Changes[1].Hash == second.Changes[1].Hash {
		t.Error("the hash of a personal value tells who has the same one")
	}
}

func TestOpenRefusesForeignValues(t *testing.T) {
	cases := map[string]func(*event.Sealed){
		"another value":    func(s *event.Sealed) { s.Personal[0].Value = `"b@example.org"` },
		"another spelling": func(s *event.Sealed) { s.Personal[0].Value = ` "a@example.org"` },
		"another salt":     func(s *event.Sealed) { s.Personal[0].Salt = make([]byte, event.SaltLen) },
		"a longer salt":    func(s *event.Sealed) { s.Personal[0].Salt = append(s.Personal[0].Salt, 0) },
		"a shifted border": func(s *event.Sealed) {
			s.Personal[0].Salt, s.Personal[0].Value = append(s.Personal[0].Salt, '"'), `a@example.org"`
		},
		"an unknown field":  func(s *event.Sealed) { s.Personal[0].Field = "user.name" },
		"no personal field": func(s *event.Sealed) { s.Personal[0].Field = "user.display_name" },
		"it twice":          func(s *event.Sealed) { s.Personal = append(s.Personal, s.Personal[0]) },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			s := seal(t, full())
			change(&s)
			if _, err := s.Open(); err == nil {
				t.Error("was accepted")
			}
		})
	}
}

func TestParseAcceptsOnlyCanonicalBytes(t *testing.T) {
	e := full()
	e.Changes, e.Actor.SessionID = nil, ""
	good := string(seal(t, e).Canonical)
	if _, err := event.Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	swap := func(old, now string) string { return strings.Replace(good, old, now, 1) }
	cases := map[string]string{
		"nothing":            ``,
		"another version":    swap(`"v":1`, `"v":2`),
		"no version":         swap(`,"v":1`, ``),
		"an unknown member":  swap(`{"action"`, `{"a":1,"action"`),
		"a blank":            swap(`{`, `{ `),
		"a blank behind":     good + " ",
		"another one behind": good + good,
		"another order":      swap(`"count":1,"id":"`+id+`"`, `"id":"`+id+`","count":1`),
		"a member twice":     swap(`"count":1`, `"count":1,"count":1`),
		"another case":       swap(`"count"`, `"COUNT"`),
		"an empty member":    swap(`"caller":"gateway"`, `"caller":""`),
		"a null":             swap(`"caller":"gateway"`, `"caller":null`),
		"an escape":          swap(`gateway`, `gatew\u0061y`),
		"a float":            swap(`"count":1`, `"count":1.0`),
		"no count":           swap(`"count":1,`, ``),
		"a huge count":       swap(`"count":1`, `"count":9007199254740993`),
		"a local time":       swap(`05.123456Z`, `05.123456+01:00`),
		"no fraction":        swap(`05.123456Z`, `05Z`),
		"an upper-case id":   swap(id, strings.ToUpper(id)),
		"no id":              swap(id, ``),
		"an outcome":         swap(`"success"`, `"perhaps"`),
		"a reason":           swap(`"outcome":"success"`, `"outcome":"success","reason":"WHY"`),
		"an actor":           swap(`"type":"user"`, `"type":"robot"`),
		"nobody":             swap(`"type":"user"`, `"type":"anonymous"`),
		"broken UTF-8":       swap(`gateway`, "gate\xff"),
		"a control":          swap(`gateway`, `gate\u0000`),
		"a direction":        swap(`gateway`, "gate\u202e"),
		"a long name":        swap(`gateway`, strings.Repeat("g", 129)),
		"too much":           swap(`gateway`, strings.Repeat("g", event.MaxCanonical)),
		"a value of nothing": swap(`"count"`, `"changes":[{"field":"a"}],"count"`),
		"a field twice":      swap(`"count"`, `"changes":[{"field":"a","value":1},{"field":"a","value":1}],"count"`),
		"a personal value":   swap(`"count"`, `"changes":[{"field":"a","personal":true,"value":1}],"count"`),
		"a hash of nothing":  swap(`"count"`, `"changes":[{"field":"a","hash":"x","value":1}],"count"`),
		"an array":           `[]`,
	}
	for name, text := range cases {
		if text == good {
			t.Errorf("%s: the case changes nothing", name)
		}
		if _, err := event.Parse([]byte(text)); err == nil {
			t.Errorf("%s was accepted: %.300s", name, text)
		}
	}
}

// Text that a client chose cannot keep an event from being recorded, nor break the log that shows it.
func TestSealCleansTexts(t *testing.T) {
	e := full()
	e.ObjectID, e.RequestID, e.Actor.ClientID = strings.Repeat("ü", 200), "a\x00b\nc\u202ed\xff", "c\u2028"
	got, err := event.Parse(seal(t, e).Canonical)
	if err != nil {
		t.Fatal(err)
	}
	if got.ObjectID != strings.Repeat("ü", 128) || got.RequestID != "abcd" || got.Actor.ClientID != "c" {
		t.Errorf("texts %q %q %q", got.ObjectID, got.RequestID, got.Actor.ClientID)
	}
}

func TestSealRefusesWhatSaysTooLittle(t *testing.T) {
	cases := map[string]func(*event.Event){
		"no id":       func(e *event.Event) { e.ID = "" },
		"no time":     func(e *event.Event) { e.Time = time.Time{} },
		"no source":   func(e *event.Event) { e.Source = "" },
		"no action":   func(e *event.Event) { e.Action = "" },
		"no outcome":  func(e *event.Event) { e.Outcome = "" },
		"no actor":    func(e *event.Event) { e.Actor = event.Actor{} },
		"no JSON":     func(e *event.Event) { e.Changes[0].Value = json.RawMessage(`{`) },
		"broken JSON": func(e *event.Event) { e.Changes[0].Value = json.RawMessage("\"\xff\"") },
		"no value":    func(e *event.Event) { e.Changes[1].Value = nil },
	}
	for name, change := range cases {
		e := full()
		change(&e)
		if _, err := e.Seal(rand.Reader); err == nil {
			t.Errorf("an event with %s was sealed", name)
		}
	}
	if _, err := full().Seal(strings.NewReader("short")); err == nil {
		t.Error("an event was sealed without a whole salt")
	}
}

func TestLargeValuesAreReplacedByTheirSize(t *testing.T) {
	text := func(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n-2) + `"`) }
	e := full()
	e.Changes = []event.Change{
		{Field: "small", Value: text(100 << 10)}, {Field: "large", Value: text(200 << 10)},
		{Field: "personal", Value: text(9000), Personal: true},
	}
	s := seal(t, e)
	if err := event.Verify(s); err != nil {
		t.Fatal(err)
	}
	got, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Changes[0].Value) != 100<<10 || string(got.Changes[1].Value) != `{"omitted_bytes":204800}` ||
		string(got.Changes[2].Value) != `{"omitted_bytes":9000}` {
		t.Errorf("changes of %d, %.40s, %.40s", len(got.Changes[0].Value), got.Changes[1].Value, got.Changes[2].Value)
	}
}

// What a context knows of its request never changes, whatever its readers do with their copies.
func TestTheEventOfARequest(t *testing.T) {
	if e := event.FromContext(t.Context()); !reflect.DeepEqual(e, event.Event{}) {
		t.Errorf("a context has the event %+v by itself", e)
	}
	want := event.Event{Action: "user.created", Changes: []event.Change{{Field: "email"}}}
	ctx := event.NewContext(t.Context(), want)
	e := event.FromContext(ctx)
	e.ObjectID, e.OrganizationID, e.Changes[0].Field = "user-1", "organization-1", "changed by a reader"
	if diff := cmp.Diff(event.Event{Action: "user.created", Changes: []event.Change{{Field: "email"}}}, event.FromContext(ctx)); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
}

func TestBackgroundIsTheProgramItself(t *testing.T) {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	e := event.Own(trace.ContextWithSpanContext(context.Background(), span), "auth", "login.reconciled", "user")
	want := event.Event{
		Source: "auth", Caller: "auth", Action: "login.reconciled", Outcome: event.Success, ObjectType: "user",
		Actor: event.Actor{Type: event.Service, ID: "auth"}, TraceID: "01000000000000000000000000000000",
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
}

// A refusal may bring its event along, and stays the error that it is.
func TestAttempts(t *testing.T) {
	refusal := errors.New("wrong")
	err := fmt.Errorf("sign in: %w", event.Attempt(refusal, event.Event{ObjectID: "user-1"}))
	if e, ok := event.AttemptOf(err); !ok || e.ObjectID != "user-1" || !errors.Is(err, refusal) {
		t.Errorf("%v has the event %+v, %v", err, e, ok)
	}
	if e, ok := event.AttemptOf(refusal); ok {
		t.Errorf("a refusal has the event %+v by itself", e)
	}
	if err := event.Attempt(nil, event.Event{}); err != nil {
		t.Errorf("no refusal becomes %v", err)
	}
}
