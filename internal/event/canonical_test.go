package event

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// generic is the way through any JSON: marshal, then make canonical.
func generic(t testing.TB, e Event) []byte {
	t.Helper()
	d := document{
		V: version, ID: e.ID, Time: e.Time.Format(timeLayout), Source: e.Source, Caller: e.Caller, Action: e.Action, Method: e.Method,
		Outcome: e.Outcome, Reason: e.Reason, Actor: actorDocument(e.Actor), OrganizationID: e.OrganizationID,
		ObjectType: e.ObjectType, ObjectID: e.ObjectID, RequestID: e.RequestID, TraceID: e.TraceID, Count: e.Count,
	}
	for _, c := range e.Changes {
		d.Changes = append(d.Changes, changeDocument(c))
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := jcs.Transform(text)
	if err != nil {
		t.Fatal(err)
	}
	return canonical
}

// What is written directly is what an implementation of RFC 8785 makes of the same event.
func FuzzCanonicalIsRFC8785(f *testing.F) {
	for _, s := range []string{"", "plain", "q\"b\\", "\x00\x01\b\t\n\f\r\x1f\x7f", "é\u2028\u2029\U0001f600<>&", "\ufeff"} {
		f.Add(s, s, `"`+"x"+`"`, int64(1), true)
	}
	f.Add("a", "b", `{"b": [1.0, 1e21, -0, "\u00e9\/"], "a" : null}`, int64(1<<53-1), false)
	f.Fuzz(func(t *testing.T, a, b, value string, count int64, personal bool) {
		transformed, err := jcs.Transform([]byte(value))
		if err != nil || !json.Valid([]byte(value)) || !utf8.ValidString(a) || !utf8.ValidString(b) || !utf8.ValidString(value) {
			t.Skip("no text, or no JSON")
		}
		if count < 0 || count > 1<<53-1 {
			t.Skip("no number of RFC 8785")
		}
		e := Event{
			ID: a, Time: time.Unix(count%1e9, 5000).UTC(), Source: b, Caller: a, Action: b, Method: a, Outcome: Outcome(b), Reason: a,
			Actor: Actor{Type: b, ID: a, SessionID: b, ClientID: a}, OrganizationID: b, ObjectType: a, ObjectID: b, RequestID: a, TraceID: b,
			Count: count,
			Changes: []Change{
				{Field: a, Value: json.RawMessage(value)}, {Field: b, Personal: personal, Hash: a}, {Field: "c", Value: transformed},
			},
		}
		got, err := e.canonical()
		if err != nil || !bytes.Equal(got, generic(t, e)) {
			t.Errorf("got  %s, %v\nwant %s", got, err, generic(t, e))
		}
	})
}

func BenchmarkParse(b *testing.B) {
	e := Event{
		ID: "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11", Time: time.Unix(1, 0).UTC(), Source: "identity", Caller: "gateway", Action: "user.updated",
		Method: "gatehouse.identity.v1.UserService/UpdateUser", Outcome: Success, Actor: Actor{Type: User, ID: "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11"},
		ObjectType: "user", ObjectID: "0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11", RequestID: "request", Count: 1,
		Changes: []Change{{Field: "user.locale", Value: json.RawMessage(`"de"`)}},
	}
	canonical, err := e.canonical()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse(canonical); err != nil {
			b.Fatal(err)
		}
	}
}
