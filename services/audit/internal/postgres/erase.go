package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Erasure says whose personal values go.
type Erasure struct {
	UserID    string   // empty where only addresses are known
	Addresses []string // of mails, beside those that the trail knows to be the user's
	Reason    string
}

// check refuses what names nobody.
func (r Erasure) check() error {
	if r.UserID == "" && len(r.Addresses) == 0 {
		return errors.New("nobody is named: give the id of the user, or a mail address")
	}
	for _, address := range r.Addresses {
		if before, domain, ok := strings.Cut(address, "@"); !ok || before == "" || domain == "" || strings.TrimSpace(address) != address {
			return fmt.Errorf("%q is no mail address: give one such as ada@example.com", address)
		}
	}
	return trail.CheckReason(r.Reason)
}

// Erased says what an erasure did.
type Erased struct {
	Values  int64 // that were erased
	Held    int64 // that a hold keeps
	Waiting int64 // events of the person that Audit itself has not delivered yet: erase again after them
}

// stands says whether the mail address "d" stands in the value "v", in capitals or not: as a whole,
// not as the end of a longer one or as its beginning. Both are texts of JSON without their quotes.
const stands = `case when position(d.value in lower(v.value)) = 0 then false else
	lower(v.value) ~ ('(\\[bfnrt]|\\u[0-9a-f]{4}|(?<![[:alnum:].!#$%&''*+/=?^_{|}~-]))'
		|| regexp_replace(d.value, '([^[:alnum:]])', '\\\1', 'g') || '(?![[:alnum:]-]|\.[[:alnum:]])') end`

// theirs are the personal values of a person: of events about the person all but where another
// actor was; of the person's own acts where the person was, and what was said of anything but
// another user; and of events in which one of the person's mail addresses stands, whoever they are
// about, what was said. Of events that are gone no value is left by right, and none is held.
const theirs = `
	with about as materialized (
		select e.position, e.actor_id, e.object_id, e.object_type, ` + isHeld + ` as held from audit.events e where e.actor_id = @user_id and e.actor_id <> ''
		union
		select e.position, e.actor_id, e.object_id, e.object_type, ` + isHeld + ` from audit.events e where e.object_id = @user_id and e.object_id <> ''),
	addresses as materialized (
		select lower(btrim(to_json(address)::text, '"')) as value from unnest(@addresses::text[]) address
		union
		select lower(btrim(v.value, '"')) from about a join audit.personal_values v on v.position = a.position
		where a.object_id = @user_id and v.field ~ '(^|[._])email$' and v.value like '"%@%"'),
	named as materialized (
		select v.position from audit.personal_values v where exists (select from addresses d where ` + stands + `)),
	theirs as (
		select v.position, v.field, a.held from about a join audit.personal_values v on v.position = a.position
		where case
			when v.field like '@client.%' then a.actor_id in (@user_id, '')
			when a.object_id = @user_id then true
			else a.object_type <> 'user' end
		union
		select v.position, v.field, ` + isHeld + ` from named n
		left join audit.events e on e.position = n.position join audit.personal_values v on v.position = n.position
		where v.field not like '@client.%' or coalesce(e.actor_id, '') = ''),
	gone as (
		delete from audit.personal_values v using theirs t where not t.held and v.position = t.position and v.field = t.field returning 1)
	select exists (select from about), (select coalesce(array_agg(value), '{}') from addresses), (select count(*) from gone), (select count(*) from theirs where held)`

// Erase removes the personal values of a person from the trail, but those of events that are held.
// What the events say of them are salted hashes, which proofs go on over, and nobody can try values
// against those without the salt. It may run any number of times.
func (u *Upkeep) Erase(ctx context.Context, r Erasure) (done Erased, err error) {
	if err := r.check(); err != nil {
		return done, err
	}
	userID := relation.CanonicalID(r.UserID)
	err = u.box.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "lock table audit.holds in share mode"); err != nil {
			return err
		}
		p := person{userID: userID}
		args := pgx.StrictNamedArgs{"user_id": userID, "addresses": r.Addresses}
		if err := tx.QueryRow(ctx, theirs, args).Scan(&p.known, &p.addresses, &done.Values, &done.Held); err != nil {
			return fmt.Errorf("erase personal values: %w", err)
		}
		if err := p.eraseOutbox(ctx, tx, &done); err != nil {
			return err
		}
		if err := p.eraseStrays(ctx, tx, &done); err != nil {
			return err
		}
		if !p.known && len(r.Addresses) == 0 {
			return fmt.Errorf("the trail has no event of %q: give the id of the user as events name it, or a mail address", userID)
		}
		e := event.Own(ctx, u.box.Source, "audit.personal_values_erased", "audit_trail")
		if userID != "" {
			e.ObjectType, e.ObjectID = "user", userID
		}
		e.Changes = changes("values", done.Values, "held", done.Held, "reason", r.Reason)
		return audit.Record(ctx, u.box, tx, e)
	})
	return done, err
}
