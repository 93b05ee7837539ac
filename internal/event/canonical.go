package event

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/gowebpki/jcs"
)

// canonical returns the bytes of RFC 8785: the members of each object sorted by name, no space, texts with the shortest escapes. It
// writes them directly, which costs a fifth of making any JSON canonical; only the values of changes are any JSON.
func (e Event) canonical() ([]byte, error) {
	w := writer{b: make([]byte, 0, 1024)}
	w.begin('{')
	w.must("action", e.Action)
	w.name("actor")
	w.begin('{')
	w.text("client_id", e.Actor.ClientID)
	w.text("id", e.Actor.ID)
	w.text("session_id", e.Actor.SessionID)
	w.must("type", e.Actor.Type)
	w.end('}')
	w.text("caller", e.Caller)
	if err := w.changes(e.Changes); err != nil {
		return nil, err
	}
	w.number("count", e.Count)
	w.must("id", e.ID)
	w.text("method", e.Method)
	w.text("object_id", e.ObjectID)
	w.text("object_type", e.ObjectType)
	w.text("organization_id", e.OrganizationID)
	w.must("outcome", string(e.Outcome))
	w.text("reason", e.Reason)
	w.text("request_id", e.RequestID)
	w.must("source", e.Source)
	w.must("time", e.Time.Format(timeLayout))
	w.text("trace_id", e.TraceID)
	w.number("v", version)
	w.end('}')
	return w.b, nil
}

func (w *writer) changes(changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	w.name("changes")
	w.begin('[')
	for _, c := range changes {
		w.comma()
		w.begin('{')
		w.must("field", c.Field)
		w.text("hash", c.Hash)
		if c.Personal {
			w.name("personal")
			w.b = append(w.b, "true"...)
		}
		if len(c.Value) > 0 {
			value, err := canonicalValue(c.Value)
			if err != nil {
				return fmt.Errorf("make the value of %s canonical: %w", c.Field, err)
			}
			w.name("value")
			w.b = append(w.b, value...)
		}
		w.end('}')
	}
	w.end(']')
	return nil
}

// canonicalValue spares the usual short texts the way through the parser: what is between their quotes needs no other form.
func canonicalValue(value json.RawMessage) ([]byte, error) {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' && printableASCII(string(value[1:n-1])) {
		return value, nil
	}
	return jcs.Transform(value)
}

// printableASCII reports whether s has no character that JSON escapes, and none beyond ASCII.
func printableASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// writer writes objects whose members come in the order of their names.
type writer struct {
	b     []byte
	first bool // of the members of the object, or the elements of the array, that is written
}

func (w *writer) begin(bracket byte) {
	w.b = append(w.b, bracket)
	w.first = true
}

func (w *writer) end(bracket byte) {
	w.b = append(w.b, bracket)
	w.first = false
}

func (w *writer) comma() {
	if !w.first {
		w.b = append(w.b, ',')
	}
	w.first = false
}

func (w *writer) name(name string) {
	w.comma()
	w.b = append(append(append(w.b, '"'), name...), '"', ':')
}

// text writes a member, unless it is empty.
func (w *writer) text(name, value string) {
	if value != "" {
		w.must(name, value)
	}
}

// must writes a member also when it is empty.
func (w *writer) must(name, value string) {
	w.name(name)
	w.b = append(w.b, '"')
	if printableASCII(value) {
		w.b = append(w.b, value...)
	} else {
		w.escaped(value)
	}
	w.b = append(w.b, '"')
}

// escaped writes the text with the escapes of RFC 8785, section 3.2.2.2.
func (w *writer) escaped(value string) {
	const short, letters = "\b\t\n\f\r\"\\", "btnfr\"\\"
	for i := range len(value) {
		c := value[i]
		at := -1
		for j := range len(short) {
			if short[j] == c {
				at = j
			}
		}
		switch {
		case at >= 0:
			w.b = append(w.b, '\\', letters[at])
		case c < ' ':
			w.b = append(w.b, fmt.Sprintf(`\u%04x`, c)...)
		default:
			w.b = append(w.b, c)
		}
	}
}

func (w *writer) number(name string, n int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}
