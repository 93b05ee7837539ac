package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// person is who is erased, outside of the trail.
type person struct {
	userID    string   // may be empty
	addresses []string // in lower case, as texts of JSON without their quotes
	known     bool     // something names the user
}

// message is one of the outbox.
type message struct {
	Position int64
	Payload  []byte
	Parked   bool
}

// eraseOutbox erases from events of Audit's own that it will never accept, but those that are held,
// and counts those that are on their way.
func (p *person) eraseOutbox(ctx context.Context, tx pgx.Tx, done *Erased) error {
	rows, err := tx.Query(ctx, "select position, payload, park_time is not null from audit.outbox where topic = $1 for update", audit.Topic)
	if err != nil {
		return fmt.Errorf("look through the outbox: %w", err)
	}
	messages, err := pgx.CollectRows(rows, pgx.RowToStructByPos[message])
	if err != nil {
		return fmt.Errorf("look through the outbox: %w", err)
	}
	for _, m := range messages {
		sealed, err := event.UnmarshalSealed(m.Payload)
		if err != nil || len(sealed.Personal) == 0 {
			continue
		}
		e, err := event.Parse(sealed.Canonical)
		if err != nil {
			continue
		}
		named, held, err := p.named(ctx, tx, e, sealed.Personal)
		if err != nil {
			return err
		}
		all := len(sealed.Personal)
		sealed.Personal = slices.DeleteFunc(sealed.Personal, func(v event.Personal) bool { return p.theirs(e, v.Field, named) })
		switch n := int64(all - len(sealed.Personal)); {
		case n == 0:
		case !m.Parked:
			done.Waiting++
		case held:
			done.Held += n
		default:
			done.Values += n
			_, err := tx.Exec(ctx, "update audit.outbox set payload = $1 where topic = $2 and position = $3", event.MarshalSealed(sealed), audit.Topic, m.Position)
			if err != nil {
				return fmt.Errorf("erase from the outbox: %w", err)
			}
		}
	}
	return nil
}

// theirs is what the statement of that name says, of an event outside of the trail.
func (p *person) theirs(e event.Event, field string, named bool) bool {
	actor, object := relation.CanonicalID(e.Actor.ID), relation.CanonicalID(e.ObjectID)
	acted, about := p.userID != "" && actor == p.userID, p.userID != "" && object == p.userID
	p.known = p.known || acted || about
	switch {
	case event.OfClient(field):
		return acted || actor == "" && (about || named)
	case about || named:
		return true
	}
	return acted && e.ObjectType != "user"
}

// named reports whether an address of the person stands in an event's values, and whether a hold
// keeps the event.
func (p *person) named(ctx context.Context, tx pgx.Tx, e event.Event, values []event.Personal) (named, held bool, err error) {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.Value
	}
	organization, err := optionalID("organization", e.OrganizationID)
	if err != nil {
		return false, false, err
	}
	err = tx.QueryRow(ctx, `
		select exists (select from unnest(@values::text[]) v(value), unnest(@addresses::text[]) d(value) where `+stands+`), `+isHeld+`
		from (select @organization_id::uuid as organization_id, @actor_id::text as actor_id, @object_id::text as object_id, @time::timestamptz as time) e`,
		pgx.StrictNamedArgs{
			"values": texts, "addresses": p.addresses, "organization_id": organization,
			"actor_id": relation.CanonicalID(e.Actor.ID), "object_id": relation.CanonicalID(e.ObjectID), "time": e.Time,
		}).Scan(&named, &held)
	if err != nil {
		return false, false, fmt.Errorf("look at an event of the outbox: %w", err)
	}
	return named, held, nil
}

// eraseStrays removes words of the person whose value is gone, if there are any, and counts
// refusals of Audit's own that will be events in a minute.
func (p *person) eraseStrays(ctx context.Context, tx pgx.Tx, done *Erased) error {
	var words []string
	for _, address := range p.addresses {
		for _, word := range trail.Words(address) {
			if strings.Contains(word, "@") {
				words = append(words, word)
			}
		}
	}
	_, err := tx.Exec(ctx, `
		delete from audit.names n where (n.word = any(@words) or n.actor_id = @user_id and n.actor_id <> '' or n.object_id = @user_id and n.object_id <> '')
			and not exists (select from audit.personal_values v where v.position = n.position and v.field = n.field)`,
		pgx.StrictNamedArgs{"words": words, "user_id": p.userID})
	if err != nil {
		return fmt.Errorf("erase words: %w", err)
	}
	var refusals int64
	err = tx.QueryRow(ctx, `
		select count(*) from audit.refusals r where exists (
			select from unnest(@names::text[]) name where name <> '' and position(name in lower(r.key || ' ' || r.common::text)) > 0)`,
		pgx.StrictNamedArgs{"names": append([]string{p.userID}, p.addresses...)}).Scan(&refusals)
	if err != nil {
		return fmt.Errorf("look at refusals: %w", err)
	}
	done.Waiting += refusals
	return nil
}
