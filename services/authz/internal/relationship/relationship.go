// Package relationship holds Authz's rules about relationships: who may write which, the command
// log that makes a write happen once whatever dies, and how fresh a response must be.
//
// OpenFGA commits a transaction of its own, so a write cannot share one with its audit row. Every write goes through these steps, and
// nothing else writes relationships:
//
//	received ─► locked ─► accepted ─► written ─► marked ─► applied ─► answered
//	            └─ one transaction ┘   engine    └─ one transaction ┘
//
// The first transaction takes the locks of all objects of the change, decides the preconditions under them and stores the intended write
// with its audit event. The engine's write is idempotent. The second transaction marks the command applied, appends the audit row and
// releases the locks. A crash after "accepted" is completed by whoever needs one of the locks, or by the loop of any instance.
//
// The handlers, the wiring and the store import it.
package relationship

import (
	"context"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
)

// MaxTuples is the most relationships that one change may write and delete together, so that the engine's transaction holds them all.
const MaxTuples = 100

// Change is a change of relationships as it is asked for: all of it happens or nothing.
type Change struct {
	ID            string // UUID in lower case; repeating a change under its id has no further effect
	Writes        []relation.Tuple
	Deletes       []relation.Tuple
	DeleteAllOf   string // object or subject, "type:id", whose relationships are all deleted; empty for none
	Preconditions []Precondition
}

// Precondition is a relationship that must, or must not, exist when the change is made.
type Precondition struct {
	Tuple  relation.Tuple
	Exists bool
}

// Origin is the request behind a change that a program delivers later.
type Origin struct {
	Actor     event.Actor
	RequestID string
	TraceID   string
}

// Command is a change that was accepted, or is about to be: exactly what will be written, and its audit event.
type Command struct {
	ID          string
	Fingerprint []byte // of the change and who asks for it
	Writes      []relation.Tuple
	Deletes     []relation.Tuple
	EventID     string
	EventKey    string
	Event       []byte // sealed, as the outbox carries it
	Claim       int64  // which attempt at applying it this is; only the last one may finish it
}

// Outcome is what became of an attempt to accept a command.
type Outcome struct {
	Accepted bool
	Known    bool     // the id was accepted before; the command is not stored again
	Same     bool     // of a known id: its fingerprint is the same
	Holders  []string // ids of the commands that hold a lock; empty with neither of the above means: try again now
}

// State is how far a command is.
type State string

// The states. A command never leaves applied or refused.
const (
	Accepted State = "accepted"
	Applied  State = "applied"
	Refused  State = "refused" // the engine will never take it: the model changed after it was accepted
)

// Departs reports whether a user's departure is stored, and settled or not older than
// KeepDepartures. A store asks it on the connection of the transaction that decides: decisions that
// each waited for a second one of the same pool would wait for each other.
type Departs func(ctx context.Context, user string) (bool, error)

// Store is the command log. The time of leases is the database's, so that clocks of instances do not matter.
type Store interface {
	// Accept takes the locks of these sorted objects, lets decide complete the command under them, and stores it with a lease, in one
	// transaction. An error of decide stores nothing and comes back as it is.
	Accept(ctx context.Context, objects []string, c Command, decide func(context.Context, Command, Departs) (Command, error)) (Outcome, error)
	// Claim takes over one accepted command whose lease has run out: one of ids, or any when ids is nil.
	Claim(ctx context.Context, ids []string) (Command, bool, error)
	// Depart takes the locks of these sorted objects, lets decide say whether the departure is
	// possible, and stores it with its event, in one transaction at whose end the locks are
	// free. An error of decide stores nothing and comes back as it is. When others hold some of the
	// locks, nothing is stored and they are returned; that may be an empty list, but is not nil.
	Depart(ctx context.Context, objects []string, d Departure, e event.Event, decide func(context.Context, Departs) error) (holders []string, err error)
	// Renew gives a command its lease anew. False means that it has ended, or that somebody else has claimed it.
	Renew(ctx context.Context, c Command) (bool, error)
	// Finish ends a command in one transaction: its state, its audit row when it is applied, and its locks. False means that another
	// claim has or will end it.
	Finish(ctx context.Context, c Command, s State) (bool, error)
	// States returns the states of the commands that are known.
	States(ctx context.Context, ids []string) (map[string]State, error)
	// Settle keeps the departure of a suspension, however old it gets and whether or not its
	// reservation is still known, or ends it when the user has returned, and records the event.
	// What is about an earlier revision than what is known, or a return that is no later, changes
	// and records nothing.
	Settle(ctx context.Context, u Suspension, e event.Event) error
	// ForgetDepartures removes at most limit departures of each kind that were reserved before, and
	// returns how many of the kind that has more. Settled ones stay until a command deletes their
	// user.
	ForgetDepartures(ctx context.Context, before time.Time, limit int) (int, error)
	// Forget removes at most limit commands that ended before, and returns how many.
	Forget(ctx context.Context, before time.Time, limit int) (int, error)
}

// Engine keeps relationships and evaluates the model; *fga.Engine behind an adapter. Its errors are those of apierr.
type Engine interface {
	Validate(t relation.Tuple) error
	Exists(ctx context.Context, t relation.Tuple) (bool, error)
	// TuplesOf returns every relationship in which the object or subject takes part.
	TuplesOf(ctx context.Context, objectOrSubject string) ([]relation.Tuple, error)
	// SubjectsOf returns the subjects that were written for a relation of an object, sorted: at
	// most limit, after a subject.
	SubjectsOf(ctx context.Context, object, relation, after string, limit int) ([]string, error)
	// HeldBy returns the relationships that were written with exactly this subject.
	HeldBy(ctx context.Context, subject string) ([]relation.Tuple, error)
	// Write adds and removes at most MaxTuples relationships in one transaction; what is so already
	// is not an error.
	Write(ctx context.Context, writes, deletes []relation.Tuple) error
	// Position names the state that reads must have reached to see every write that returned before.
	Position(ctx context.Context) (request.Position, error)
	// Reached returns nil when reads see at least that state.
	Reached(ctx context.Context, p request.Position) error
}
