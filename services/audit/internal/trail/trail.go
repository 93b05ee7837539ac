// Package trail is what Audit keeps: events in the order in which they were stored, once each, as
// long as their retention says.
//
// It holds the rules: who may hand over what (ingest.go), how long it is kept (retention.go), how
// batches of many senders become few transactions (writer.go), and how people follow what is stored
// (feed.go, tail.go). internal/postgres stores, internal/api serves; only they and the wiring
// import it.
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
	Damaged  bool        // what is stored is no event: Event has what the columns beside it say
}

// Verdict is what became of an entry.
type Verdict uint8

// The verdicts.
const (
	Kept     Verdict = iota + 1 // stored now
	Known                       // stored before, the same
	Conflict                    // another event is stored under the id
	Over                        // its retention is over: whether it was stored before is not known any more
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
	case Over:
		return "over"
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
	// Start returns a position up to which nothing happened at the time or later, not long before
	// the first event that did. What a clock that ran ahead says may be before it.
	Start(ctx context.Context, at time.Time) (position int64, err error)
}

// Lister reads by time.
type Lister interface {
	// List returns at most q.Limit matching events before the cursor, newest first: by time, then position.
	List(ctx context.Context, q Query) ([]Stored, error)
	// Search is List for a filter with Search. next is nil after the last event that matches; fewer
	// events than the limit, or none, may come with a next, where the look was long enough.
	Search(ctx context.Context, q Query) (events []Stored, next *Cursor, err error)
}

// Names makes searches fast.
type Names interface {
	// BringNames brings in the names of what was stored since the last call, of all instances, and
	// of what was stored before there were searches.
	BringNames(ctx context.Context) error
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
	Search         []string  // of Terms: each is the beginning of one of the words of the personal values

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
		same(f.RequestID, e.RequestID) && (f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until)) &&
		(len(f.Search) == 0 || named(e, f.Search))
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
