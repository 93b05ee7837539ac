// Package event is what Audit keeps: something that happened, who did it, to what and how it ended.
//
// An Event becomes durable in one form only, the canonical bytes that Seal makes (RFC 8785,
// versioned by their member "v"). Personal values stay outside of those bytes, which hold a salted
// hash of each: a proof over the bytes outlives the erasure of the value. The gRPC server says what
// is known of a request (NewContext), the code that makes the change makes its event of that,
// stores append it (internal/outbox), Audit keeps it. Everybody may import it.
package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Outcome says how it ended.
type Outcome string

// The closed set of outcomes.
const (
	Success Outcome = "success"
	Failure Outcome = "failure" // it was tried and did not work, such as a wrong password
	Denied  Outcome = "denied"  // somebody known may not do it
)

// Types of actors.
const (
	User      = "user"
	Service   = "service"
	Anonymous = "anonymous"
)

// Actor is who did it.
type Actor struct {
	Type      string // User, Service or Anonymous
	ID        string // of the user, or mesh name of the program; empty when anonymous
	SessionID string // of the user's session; personal
	ClientID  string // of the user's client
}

// Event is something that happened.
type Event struct {
	ID             string    // UUID, version 7 when we make it
	Time           time.Time // UTC, microseconds: what is finer is cut off
	Source         string    // program that says so
	Caller         string    // program that called the source
	Action         string    // dotted name, such as "user.updated"
	Method         string    // "package.Service/Method"; empty for background work
	Outcome        Outcome
	Reason         string // of a failure or denial, UPPER_SNAKE
	Actor          Actor
	OrganizationID string
	ObjectType     string
	ObjectID       string
	RequestID      string
	TraceID        string
	ClientAddress  string `json:",omitempty"` // where the request came from, as the edge saw it; personal
	ClientAgent    string `json:",omitempty"` // what the client calls itself; personal
	Changes        []Change
	Count          int64 // how often it happened; 0 is read as 1
}

// Change is a field that the request set.
type Change struct {
	Field    string          // path in the request
	Value    json.RawMessage // nil when it is personal and not known here
	Personal bool            // the value is kept beside the canonical bytes
	Hash     string          // of a personal value: base64url(SHA-256(salt || value)); Seal makes it
}

// PersonalTexts are the changes of personal fields, given as names and values in turn; an empty
// value is none.
func PersonalTexts(namesAndValues ...string) []Change {
	var changes []Change
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if value, err := json.Marshal(namesAndValues[i+1]); err == nil && namesAndValues[i+1] != "" { // a string always is JSON
			changes = append(changes, Change{Field: namesAndValues[i], Value: value, Personal: true})
		}
	}
	return changes
}

// Limits of a sealed event; the contract of Audit has the same. What is larger is replaced by {"omitted_bytes": n}.
const (
	MaxCanonical = 256 << 10 // bytes of the canonical form
	MaxPersonal  = 8192      // bytes of a personal value
	MaxChanges   = 50
)

// Longest texts, in bytes.
const (
	maxName = 128
	maxID   = 256
)

// check refuses what no event may be. It holds for what is sealed and for what is read.
func (e Event) check() error {
	switch {
	case !isUUID(e.ID):
		return fmt.Errorf("id %q is not a UUID in lower case", e.ID)
	case e.Time.IsZero() || e.Time.Year() < 1970 || e.Time.Year() > 9999:
		return errors.New("the time is missing or out of range")
	case e.Source == "":
		return errors.New("the source is missing")
	case !isAction(e.Action):
		return fmt.Errorf("action %q is not a dotted name in lower case", e.Action)
	case !slices.Contains([]Outcome{Success, Failure, Denied}, e.Outcome):
		return fmt.Errorf("outcome %q is none of success, failure and denied", e.Outcome)
	case e.Reason != "" && !isReason(e.Reason):
		return fmt.Errorf("reason %q is not in UPPER_SNAKE", e.Reason)
	case e.Outcome == Success && e.Reason != "":
		return errors.New("a success has no reason")
	case !slices.Contains([]string{User, Service, Anonymous}, e.Actor.Type):
		return fmt.Errorf("actor type %q is none of user, service and anonymous", e.Actor.Type)
	case (e.Actor.ID == "") != (e.Actor.Type == Anonymous):
		return errors.New("an actor has an id exactly when it is not anonymous")
	case e.Count < 1 || e.Count > 1<<53-1:
		return fmt.Errorf("the count %d is out of range", e.Count)
	case e.OrganizationID != "" && !isUUID(e.OrganizationID):
		return fmt.Errorf("organization_id %q is not a UUID in lower case", e.OrganizationID)
	case len(e.Changes) > MaxChanges:
		return fmt.Errorf("%d changes are more than %d", len(e.Changes), MaxChanges)
	}
	for _, t := range e.texts() {
		if *t.value != plain(*t.value, t.most) {
			return fmt.Errorf("%s is too long or holds characters that text must not", t.name)
		}
	}
	return checkChanges(e.Changes)
}

func checkChanges(changes []Change) error {
	seen := map[string]bool{}
	for _, c := range changes {
		switch {
		case c.Field == "" || c.Field != plain(c.Field, maxName):
			return errors.New("a change has no field, or one that no field can be")
		case seen[c.Field]:
			return fmt.Errorf("the field %s is listed twice", c.Field)
		case c.Personal && !isHash(c.Hash):
			return fmt.Errorf("the personal field %s has no hash", c.Field)
		case !c.Personal && (c.Hash != "" || len(c.Value) == 0):
			return fmt.Errorf("the field %s has a hash, or no value", c.Field)
		}
		seen[c.Field] = true
	}
	return nil
}

// text is one free text of an event.
type text struct {
	name  string // of its member
	value *string
	most  int // bytes
}

func (e *Event) texts() [14]text {
	return [...]text{
		{"source", &e.Source, maxName}, {"caller", &e.Caller, maxName}, {"action", &e.Action, maxName}, {"method", &e.Method, maxID},
		{"reason", &e.Reason, maxName}, {"actor.id", &e.Actor.ID, maxName}, {"actor.session_id", &e.Actor.SessionID, maxName},
		{"actor.client_id", &e.Actor.ClientID, maxName}, {"object_type", &e.ObjectType, maxName}, {"object_id", &e.ObjectID, maxID},
		{"request_id", &e.RequestID, maxName}, {"trace_id", &e.TraceID, maxName}, {"client address", &e.ClientAddress, maxName},
		{"client agent", &e.ClientAgent, maxID},
	}
}

// plain returns s without what a database's text, a terminal or a log must not meet, cut to so many bytes.
func plain(s string, most int) string {
	if len(s) <= most && printableASCII(s) {
		return s // nearly all are
	}
	clean := func(r rune) rune {
		if r == utf8.RuneError || unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029' {
			return -1
		}
		return r
	}
	s = strings.Map(clean, s)
	if len(s) <= most {
		return s
	}
	s = s[:most]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
