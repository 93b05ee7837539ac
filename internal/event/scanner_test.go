package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// usual is an event as most are.
func usual() Event {
	const id = "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11"
	return Event{
		ID: id, Time: time.Unix(1, 5000).UTC(), Source: "identity", Caller: "gateway", Action: "user.updated",
		Method: "gatehouse.identity.v1.UserService/UpdateUser", Outcome: Success, Actor: Actor{Type: User, ID: id, SessionID: id, ClientID: "gatehouse"},
		OrganizationID: id, ObjectType: "user", ObjectID: id, RequestID: "request", TraceID: "trace", Count: 1,
		Changes: []Change{
			{Field: "user.locale", Value: json.RawMessage(`"de"`)}, {Field: "user.active", Value: json.RawMessage(`true`)},
			{Field: "user.display_name", Personal: true, Hash: strings.Repeat("a", 43)},
		},
	}
}

func canonicalOf(t testing.TB, change func(*Event)) []byte {
	t.Helper()
	e := usual()
	change(&e)
	text, err := e.canonical()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is usual must not take the long way.
func TestUsualEventsAreReadDirectly(t *testing.T) {
	for name, change := range map[string]func(*Event){
		"all members": func(*Event) {},
		"the least": func(e *Event) {
			*e = Event{ID: e.ID, Time: e.Time, Source: e.Source, Action: e.Action, Outcome: e.Outcome, Actor: Actor{Type: Anonymous}, Count: 1}
		},
		"a denial":        func(e *Event) { e.Outcome, e.Reason = Denied, "PERMISSION_DENIED" },
		"an empty value":  func(e *Event) { e.Changes[0].Value = json.RawMessage(`""`) },
		"a null":          func(e *Event) { e.Changes[0].Value = json.RawMessage(`null`) },
		"a number":        func(e *Event) { e.Changes[0].Value = json.RawMessage(`1.5`) },
		"an object":       func(e *Event) { e.Changes[0].Value = json.RawMessage(`{"a":["]}\"é",{}],"b":1}`) },
		"the most counts": func(e *Event) { e.Count = 1<<53 - 1 },
	} {
		t.Run(name, func(t *testing.T) {
			text := canonicalOf(t, change)
			got, ok := parseUsual(text)
			want, err := parseAny(text)
			if !ok || err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is read as\n%+v, %t, and otherwise as\n%+v, %v", text, got, ok, want, err)
			}
		})
	}
}

// What is read directly is read alike by the long way, whatever it is.
func FuzzParseUsual(f *testing.F) {
	good := canonicalOf(f, func(*Event) {})
	f.Add(good)
	for _, r := range [][2]string{
		{`"count":1`, `"count":01`}, {`"count":1`, `"count":0`}, {`"count":1`, `"count":99999999999999999999`}, {`"count":1`, `"count":1,"count":1`},
		{`00.000005Z`, `00,000005Z`}, {`T00:`, `T0:`}, {`"caller":"gateway"`, `"caller":""`}, {`"caller":"gateway",`, ``}, {`"v":1`, `"v":2`},
		{`"v":1}`, `"v":1} `}, {`true`, `false`}, {`"de"`, `1`}, {`"de"`, `1.0`}, {`"de"`, `{"b":1,"a":[2]}`}, {`"de"`, `{"a":[2],"b":{}}`}, {`"de"`, `"\\`}, {`"de"`, `]`}, {`"de"`, ``}, {`"de"`, `"\u00e9"`}, {`"de"`, `"é"`}, {`"de"`, `"d/e"`}, {`"de"`, `"<"`},
		{`"changes":[`, `"changes":[],"x":[`}, {`{"action"`, `{"a":1,"action"`}, {`},{`, `},,{`}, {`"value":"de"`, `"value":"de","value":"de"`},
	} {
		f.Add(bytes.Replace(good, []byte(r[0]), []byte(r[1]), 1))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, ok := parseUsual(text)
		if !ok {
			return
		}
		want, err := parseAny(text)
		if refused := e.check(); (refused == nil) != (err == nil) || err == nil && !reflect.DeepEqual(e, want) {
			t.Errorf("%q is read as\n%+v, %v, and otherwise as\n%+v, %v", text, e, refused, want, err)
		}
	})
}
