package outbox

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Message is one row on its way.
type Message struct {
	ID      string // UUID: receivers drop the ids they know
	Topic   string
	Key     string // the object, for people
	Payload []byte
}

// Args are the arguments @outbox_id, @outbox_topic, @outbox_key and @outbox_payload of a statement that inserts the row beside other work:
//
//	insert into auth.outbox (id, topic, key, payload) values (@outbox_id, @outbox_topic, @outbox_key, @outbox_payload)
func (m Message) Args() pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"outbox_id": m.ID, "outbox_topic": m.Topic, "outbox_key": m.Key, "outbox_payload": m.Payload}
}

// Poison is a message that its receiver will never accept.
type Poison struct {
	ID     string
	Reason string
}

// ErrRefused marks an error of Deliver that will come again: the receiver refuses the batch and does not say which message it is about.
// The relay does not pause then, and parks the message that is refused alone.
var ErrRefused = errors.New("the receiver refuses the batch")

// Deliver hands a batch of one topic over, in its order. Without an error everything but the poison has arrived for good; with one
// nothing is known of the others, and all but the poison comes again in smaller batches. It must end when the context does.
type Deliver func(ctx context.Context, batch []Message) (poison []Poison, err error)

// Route says who delivers a topic.
type Route struct {
	Topic   string
	Deliver Deliver
	// Gather is waited for after each batch that was not full, so that the next one takes more at
	// once; nil goes on at once.
	Gather func(context.Context)
}

// GatherFor waits so long: as much later does a message arrive that follows another one closely.
func GatherFor(d time.Duration) func(context.Context) {
	return func(ctx context.Context) { pause(ctx, d, nil) }
}

// Cut returns what of a text may stand in the tables, so many bytes at most.
func Cut(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}
