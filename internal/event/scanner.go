package event

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// parseUsual reads what canonical writes, member after member, in a fraction of the time of
// parseAny. It takes nothing else, so what it has read is canonical. It gives up, and usual is
// false, on texts with escapes or beyond ASCII, which are rare outside of values, and on what is
// wrong: of that parseAny says what it is.
func parseUsual(canonical []byte) (e Event, usual bool) {
	s := scanner{rest: string(canonical)} // the texts of the event are parts of this one
	s.open('{')
	e.Action = s.must("action")
	s.name("actor")
	s.open('{')
	e.Actor.ClientID, e.Actor.ID, e.Actor.SessionID = s.text("client_id"), s.text("id"), s.text("session_id")
	e.Actor.Type = s.must("type")
	s.close('}')
	e.Caller = s.text("caller")
	e.Changes = s.changes()
	e.Count = s.number("count")
	e.ID = s.must("id")
	e.Method = s.text("method")
	e.ObjectID, e.ObjectType = s.text("object_id"), s.text("object_type")
	e.OrganizationID = s.text("organization_id")
	e.Outcome = Outcome(s.must("outcome"))
	e.Reason = s.text("reason")
	e.RequestID = s.text("request_id")
	e.Source = s.must("source")
	e.Time = s.time("time")
	e.TraceID = s.text("trace_id")
	form := s.number("v")
	s.close('}')
	return e, !s.failed && s.rest == "" && form == version
}

// scanner reads objects whose members come in the order of their names: the other side of writer.
type scanner struct {
	rest   string // what is not read yet
	inner  bool   // the next member is not the first of its object
	failed bool   // what was read is not what was asked for
}

// literal reads a text as it is.
func (s *scanner) literal(text string) bool {
	if len(s.rest) < len(text) || s.rest[:len(text)] != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) byte(c byte) {
	if s.rest == "" || s.rest[0] != c {
		s.failed = true
		return
	}
	s.rest = s.rest[1:]
}

func (s *scanner) open(bracket byte) {
	s.byte(bracket)
	s.inner = false
}

func (s *scanner) close(bracket byte) {
	s.byte(bracket)
	s.inner = true
}

// has reads the name of a member, if that is the next one.
func (s *scanner) has(name string) bool {
	at := 0
	if s.inner {
		at = 1
	}
	end := at + len(name) + 3
	if len(s.rest) < end || s.inner && s.rest[0] != ',' || s.rest[at] != '"' || s.rest[at+1:end-2] != name || s.rest[end-2:end] != `":` {
		return false
	}
	s.rest, s.inner = s.rest[end:], true
	return true
}

func (s *scanner) name(name string) {
	if !s.has(name) {
		s.failed = true
	}
}

// text reads a member that is not written when it is empty.
func (s *scanner) text(name string) string {
	if !s.has(name) {
		return ""
	}
	text := s.quoted()
	if text == "" {
		s.failed = true
	}
	return text
}

func (s *scanner) must(name string) string {
	s.name(name)
	return s.quoted()
}

// quoted reads a text that has no escape and nothing beyond ASCII.
func (s *scanner) quoted() string {
	s.byte('"')
	for i := range len(s.rest) {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text
		case c < ' ' || c > '~' || c == '\\':
			s.failed = true
			return ""
		}
	}
	s.failed = true
	return ""
}

// number reads a whole number that is not negative.
func (s *scanner) number(name string) int64 {
	s.name(name)
	n := 0
	for n < len(s.rest) && '0' <= s.rest[n] && s.rest[n] <= '9' {
		n++
	}
	value, err := strconv.ParseInt(s.rest[:n], 10, 64)
	if err != nil || n > 1 && s.rest[0] == '0' {
		s.failed = true
	}
	s.rest = s.rest[n:]
	return value
}

// time reads one that is written as it was read: time.Parse knows more than one way.
func (s *scanner) time(name string) time.Time {
	text := s.must(name)
	at, err := time.Parse(timeLayout, text)
	var again [len(timeLayout)]byte
	if err != nil || string(at.AppendFormat(again[:0], timeLayout)) != text {
		s.failed = true
	}
	return at
}

func (s *scanner) changes() (changes []Change) {
	if !s.has("changes") {
		return nil
	}
	s.open('[')
	for !s.failed {
		s.open('{')
		c := Change{Field: s.must("field"), Hash: s.text("hash")}
		if s.has("personal") {
			c.Personal = s.literal("true")
			s.failed = s.failed || !c.Personal
		}
		if s.has("value") {
			c.Value = s.value()
		}
		s.close('}')
		changes = append(changes, c)
		if !s.literal(",") {
			break
		}
	}
	s.close(']')
	return changes
}

// value reads one that is canonical by itself.
func (s *scanner) value() json.RawMessage {
	n := valueLength(s.rest)
	value := json.RawMessage(s.rest[:n])
	s.rest = s.rest[n:]
	if !json.Valid(value) || !utf8.Valid(value) {
		s.failed = true
		return nil
	}
	canonical, err := canonicalValue(value)
	if err != nil || !bytes.Equal(canonical, value) {
		s.failed = true
	}
	return value
}

// valueLength is where the JSON value ends that the text begins with, as brackets and quotes tell.
func valueLength(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == '}' || c == ']' || c == ','):
			return i
		case c == '}' || c == ']':
			depth--
		}
	}
	return len(text)
}
