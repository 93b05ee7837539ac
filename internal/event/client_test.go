package event_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/event"
)

// R90: where a request came from is a personal value of the event, in the form of version 1: out of
// the canonical bytes, and erasable.
func TestWhereARequestCameFrom(t *testing.T) {
	e := full()
	e.ClientAddress, e.ClientAgent = "203.0.113.7", "curl/8.5.0 \x00\u202e\"x\""
	s := seal(t, e)
	if err := event.Verify(s); err != nil {
		t.Fatal(err)
	}
	if _, err := event.Parse(s.Canonical); err != nil {
		t.Errorf("who knows version 1 alone cannot read it: %v", err)
	}
	for _, personal := range []string{"203.0.113.7", "curl"} {
		if strings.Contains(string(s.Canonical), personal) {
			t.Errorf("the canonical bytes hold %s", personal)
		}
	}
	got, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := seal(t, full()).Open()
	if err != nil {
		t.Fatal(err)
	}
	if got.ClientAddress != "203.0.113.7" || got.ClientAgent != `curl/8.5.0 "x"` || len(got.Changes) != len(plain.Changes) {
		t.Errorf("opened as %q, %q with %d changes", got.ClientAddress, got.ClientAgent, len(got.Changes))
	}
	erased := s
	erased.Personal = nil
	if err := event.Verify(erased); err == nil {
		t.Error("an event without its personal values is whole")
	}
	if got, err := erased.Open(); err != nil || got.ClientAddress != "" || got.ClientAgent != "" || len(got.Changes) != len(plain.Changes) {
		t.Errorf("erased: %+v, %v", got, err)
	}
}

// R93: the session of the actor is a personal value of the event beside what the client calls itself.
// An Audit of before, which knows two names and reads texts alone, tells nobody of either and accepts
// the event.
func TestTheSessionIsBesideTheBytes(t *testing.T) {
	for agent, value := range map[string]string{
		"":                    `{"session":"session-1"}`,
		"curl/8.5.0":          `{"agent":"curl/8.5.0","session":"session-1"}`,
		`{"session":"other"}`: `{"agent":"{\"session\":\"other\"}","session":"session-1"}`,
	} {
		e := full()
		e.ClientAgent = agent
		s := seal(t, e)
		if strings.Contains(string(s.Canonical), "session") {
			t.Errorf("the bytes tell the session: %s", s.Canonical)
		}
		said := s.Personal[len(s.Personal)-1]
		if said.Field != "@client.agent" || said.Value != value || json.Unmarshal([]byte(said.Value), new(string)) == nil || !event.OfClient(said.Field) {
			t.Errorf("beside the bytes is %q: %s, want %s", said.Field, said.Value, value)
		}
		got, err := s.Open()
		if err != nil || got.Actor != full().Actor || got.ClientAgent != agent || len(got.Changes) != len(full().Changes) {
			t.Errorf("opened as %+v, %v", got, err)
		}
		s.Personal = nil
		if got, err := s.Open(); err != nil || got.Actor.SessionID != "" || got.Actor.ID != "user-1" {
			t.Errorf("erased: %+v, %v", got, err)
		}
	}
	e := full()
	e.Actor.SessionID, e.ClientAgent = "", `{"session":"other"}`
	if got, err := seal(t, e).Open(); err != nil || got.Actor.SessionID != "" || got.ClientAgent != e.ClientAgent {
		t.Errorf("a client that calls itself a session is opened as %+v, %v", got, err)
	}
}

// Who is alone with its address has no changes, and where there is no room for both, the request's
// own come first.
func TestRoomForWhereARequestCameFrom(t *testing.T) {
	for changes, want := range map[int]string{0: "203.0.113.7", 49: "203.0.113.7", event.MaxChanges: ""} {
		e := full()
		e.Changes, e.ClientAddress, e.ClientAgent = nil, "203.0.113.7", "curl"
		for i := range changes {
			e.Changes = append(e.Changes, event.Change{Field: fmt.Sprint("field_", i), Value: json.RawMessage(`1`)})
		}
		got, err := seal(t, e).Open()
		if err != nil || got.ClientAddress != want || len(got.Changes) != changes {
			t.Errorf("%d changes: address %q and %d changes, %v", changes, got.ClientAddress, len(got.Changes), err)
		}
	}
}

// An event that is kept as JSON while its work waits (Auth's pending logins) is written as before
// where it has no client.
func TestJSONOfAnEventWithoutAClient(t *testing.T) {
	text, err := json.Marshal(event.Event{Action: "auth.signed_up"})
	if err != nil || strings.Contains(string(text), "ClientA") {
		t.Errorf("%s, %v", text, err)
	}
	var back event.Event
	want := event.Event{Action: "auth.signed_up", ClientAddress: "203.0.113.7", ClientAgent: "curl"}
	if text, err = json.Marshal(want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &back); err != nil || cmp.Diff(want, back) != "" {
		t.Errorf("%s comes back as %+v, %v", text, back, err)
	}
}
