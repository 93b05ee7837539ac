// Package trail is what Audit keeps: events in the order in which they were stored, once each, for ever.
//
// It holds the rules: who may hand over what (ingest.go), how batches of many senders become few transactions (writer.go), and how
// people follow what is stored (feed.go, tail.go). internal/postgres stores, internal/api serves; only they and the wiring import it.
package trail

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
)

// Entry is an event that is about to be stored.
type Entry struct {
	Event  event.Event
	Sealed event.Sealed
}

// Stored is an event of the trail.
type Stored struct {
	Position int64       // from 1, without gaps, in the order of the commits
	Event    event.Event // with its personal values, but those that are erased
}

// Verdict is what became of an entry.
type Verdict uint8

// The verdicts.
const (
	Kept     Verdict = iota + 1 // stored now
	Known                       // stored before, the same
	Conflict                    // another event is stored under the id
)

// String names the verdict, for metrics.
func (v Verdict) String() string {
	switch v {
	case Kept:
		return "kept"
	case Known:
		return "known"
	case Conflict:
		return "conflict"
	default:
		return "none"
	}
}

// Appender stores.
type Appender interface {
	// Append stores the entries in one transaction, in their order, and says what became of each once they are durable. Entries that
	// are known already, from before or from earlier in the same call, are not stored again.
	Append(ctx context.Context, entries []Entry) ([]Verdict, error)
}

// Reader reads by position.
type Reader interface {
	// Head returns the last position, 0 when nothing is stored. Everything up to it can be read.
	Head(ctx context.Context) (int64, error)
	// Range returns at most limit matching events with after < position <= reached, by position.
	// reached is upTo, or less when limit was met or the look was long enough; it is beyond after.
	// A filter for an actor, an object or an organization looks at its events only.
	Range(ctx context.Context, f Filter, after, upTo int64, limit int) (events []Stored, reached int64, err error)
}

// Lister reads by time.
type Lister interface {
	// List returns at most q.Limit matching events before the cursor, newest first: by time, then position.
	List(ctx context.Context, q Query) ([]Stored, error)
}

// Filter says which events match: those that match all fields that are set. Ids are in their one
// form (relation.CanonicalID), and events that spell them otherwise match too.
type Filter struct {
	ActorID        string
	ObjectType     string
	ObjectID       string
	OrganizationID string
	Action         string
	Outcome        event.Outcome
	RequestID      string
	Since          time.Time // first time that matches
	Until          time.Time // first time that does not match any more

	// By is the field that lets the reader read: a look takes as long as that field's events make
	// it, whatever else the filter says, or its time would count the events of others (R93). Empty
	// for who may read everything.
	By Field
}

// Field is a field of Filter that leads to events.
type Field uint8

// The fields.
const (
	ByActor Field = iota + 1
	ByObject
	ByOrganization
)

// Matches reports whether the event matches.
func (f Filter) Matches(s Stored) bool {
	e := s.Event
	same := func(want, got string) bool { return want == "" || want == got }
	return same(f.ActorID, relation.CanonicalID(e.Actor.ID)) && same(f.ObjectType, e.ObjectType) && same(f.ObjectID, relation.CanonicalID(e.ObjectID)) &&
		same(f.OrganizationID, e.OrganizationID) && same(f.Action, e.Action) && same(string(f.Outcome), string(e.Outcome)) &&
		same(f.RequestID, e.RequestID) && (f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

// Page sizes.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Cursor is the position before one event of a list.
type Cursor struct {
	Time     time.Time // with microseconds
	Position int64
}

// Query asks for at most Limit events, newest first, before the cursor or, without one, from the newest.
type Query struct {
	Filter Filter
	Before *Cursor
	Limit  int
}
