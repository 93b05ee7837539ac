package event_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gowebpki/jcs"

	"github.com/gatehouse/gatehouse/internal/event"
)

// What Parse accepts is canonical by RFC 8785, opens as itself and would be sealed to the same bytes.
func FuzzParse(f *testing.F) {
	e := full()
	f.Add(seal(f, e).Canonical)
	f.Add([]byte(sealedBefore))
	e.Changes, e.Actor.SessionID = nil, ""
	good := seal(f, e).Canonical
	f.Add(good)
	f.Add(bytes.Replace(good, []byte(`"count":1`), []byte(`"count":1.0`), 1))
	f.Add(bytes.Replace(good, []byte(`"count":1`), []byte(`"changes":[{"field":"a","value":{"z":1e-7,"b":"\u000f"}}],"count":2`), 1))
	f.Add(bytes.Replace(good, []byte(`"count":1`), []byte(`"changes":[{"field":"a","value":9223372036854776000}],"count":2`), 1))
	f.Add([]byte(`{"v":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := event.Parse(text)
		if err != nil {
			return
		}
		canonical, err := jcs.Transform(text)
		if err != nil || !bytes.Equal(canonical, text) {
			t.Fatalf("%q was accepted, canonical is %q (%v)", text, canonical, err)
		}
		if !json.Valid(text) {
			t.Fatalf("%q was accepted and is not JSON", text)
		}
		if e.Actor.SessionID != "" {
			return // it was in there before, and is not any more
		}
		for _, c := range e.Changes {
			if c.Personal {
				return // its value is not in there
			}
		}
		again, err := e.Seal(bytes.NewReader(nil))
		if err != nil || !bytes.Equal(again.Canonical, text) {
			t.Fatalf("%q was accepted and would be sealed as %q (%v)", text, again.Canonical, err)
		}
	})
}

// UnmarshalSealed never panics or allocates by what a length pretends, and what it accepts has one spelling of each part.
func FuzzUnmarshalSealed(f *testing.F) {
	f.Add(event.MarshalSealed(seal(f, full())))
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 7, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := event.UnmarshalSealed(b)
		if err != nil {
			return
		}
		again, err := event.UnmarshalSealed(event.MarshalSealed(s))
		if err != nil || !bytes.Equal(again.Canonical, s.Canonical) || len(again.Personal) != len(s.Personal) {
			t.Fatalf("%x is read as %v, then as %v (%v)", b, s, again, err)
		}
	})
}
