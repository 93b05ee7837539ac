package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// tell appends a fact, and returns the token of its relationships.
func tell(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, f fact.Fact) (token string, err error) {
	if err := audit.Record(ctx, out, tx, f.Event); err != nil || f.Relationships.IsZero() {
		return "", err
	}
	return authz.Relate(ctx, out, tx, f.Event, f.Object(), f.Relationships)
}

// parcel is users of one import whose relationships travel in one change: Authz takes one change
// after the other, so a sign-up would wait for every user of an import that came before it.
type parcel struct {
	id        string // of the message, which names the change before it is known who is in it
	creations []user.Creation
}

// token names the relationships of the users.
func (p parcel) token() string { return request.TokenOf(p.id).String() }

// packed puts creations into as few parcels as one change allows, in their order.
func packed(newID func() string, creations []user.Creation) []parcel {
	var all []parcel
	room := -1
	for _, c := range creations {
		if room -= len(c.Joined.Relationships.Writes); room < 0 {
			all = append(all, parcel{id: newID()})
			room = relation.MaxTuples - len(c.Joined.Relationships.Writes)
		}
		last := &all[len(all)-1]
		last.creations = append(last.creations, c)
	}
	return all
}

// tellAll appends what others learn of the users that were made: their events, in the order of the
// request, and the relationships of each parcel. token is that of the last one's.
func tellAll(ctx context.Context, tx pgx.Tx, out *outbox.Outbox, organizationID string, parcels []parcel, made map[string]bool) (token string, err error) {
	var messages []outbox.Message
	for _, p := range parcels {
		var origin event.Event
		var change relation.Change
		for _, c := range p.creations {
			if !made[c.User.ID] {
				continue
			}
			recorded, err := audit.Seal(out, c.Joined.Event)
			if err != nil {
				return "", err
			}
			origin, messages = c.Joined.Event, append(messages, recorded)
			change.Writes = append(change.Writes, c.Joined.Relationships.Writes...)
		}
		if change.IsZero() {
			continue
		}
		related, err := authz.Message(p.id, origin, relation.Organization(organizationID), change)
		if err != nil {
			return "", err
		}
		token, messages = p.token(), append(messages, related)
	}
	return token, out.Append(ctx, tx, messages...)
}
