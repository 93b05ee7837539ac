package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// sweep is how many events one transaction of Keep looks at.
const sweep = 5000

// Kept says what one run of Keep did, and what runs before it did that were ended too early to say
// so.
type Kept struct {
	Made           int      // months
	Months         []string // that were dropped whole
	Events         int64    // that were removed, those of the months among them
	PersonalValues int64    // that were removed with them
}

// what parts of statements mean, over a row "e" of the trail.
const (
	classOf = "case when e.outcome = 'denied' then 'refusals' when e.action = any(@sign_ins) then 'sign_ins' else 'changes' end"
	isHeld  = `exists (select from audit.holds h where h.lift_time is null
		and (h.organization_id is null or h.organization_id = e.organization_id)
		and (h.subject_id = '' or h.subject_id = e.actor_id or h.subject_id = e.object_id)
		and e.time >= h.since and e.time < h.until)`
	stays = "(e.action = '" + auditlog.ReopenedAction + "' or " + isHeld + ")" // without the event of a reopened log what it names as lost looks deleted
)

// Keep makes the months that are due, removes the events whose retention is over, but those that
// are held, and says so by an event when it has removed any; and of old checkpoints most. It may be
// ended at any time, and run beside others: the next run goes on. A month is dropped as a whole
// once all events of its time are over.
//
// The last event stays in any case: positions are counted on from it.
func (u *Upkeep) Keep(ctx context.Context, now time.Time) (Kept, error) {
	made, err := ExtendMonths(ctx, u.box.Pool, now, u.log)
	if err != nil {
		return Kept{}, err
	}
	if err := u.advance(ctx, now); err != nil {
		return Kept{}, err
	}
	if err := u.dropMonths(ctx); err != nil {
		return Kept{}, err
	}
	if err := u.sweepAll(ctx); err != nil {
		return Kept{}, err
	}
	if err := u.thin(ctx, now); err != nil {
		return Kept{}, err
	}
	k, err := u.tell(ctx)
	k.Made = made
	return k, err
}

// Due reports whether the last run of Keep was that long ago, by the clock of the database.
func (u *Upkeep) Due(ctx context.Context, every time.Duration) (due bool, err error) {
	err = u.box.Pool.QueryRow(ctx, "select last_run + $1 * interval '1 microsecond' <= now() from audit.upkeep", every.Microseconds()).Scan(&due)
	return due, pg.Error(err)
}

// advance moves the bounds of what is kept, under the lock of whoever appends: from its commit on
// nothing is stored that is older. The clock of the database counts where it is behind.
func (u *Upkeep) advance(ctx context.Context, now time.Time) error {
	return pg.InTx(ctx, u.box.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, takeLock); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			update audit.retention set since = greatest(since, least($1, now()) - make_interval(days => days)) where days is not null`, now)
		if err != nil {
			return fmt.Errorf("move the bounds of retention: %w", err)
		}
		return nil
	})
}

// dropMonths drops each partition whose events are all over.
func (u *Upkeep) dropMonths(ctx context.Context) error {
	var floor pgtype.Timestamptz // of all classes and organizations
	if err := u.box.Pool.QueryRow(ctx, "select min(since) from audit.retention").Scan(&floor); err != nil {
		return pg.Error(err)
	}
	all, err := partitions(ctx, u.box.Pool)
	if err != nil || floor.InfinityModifier != pgtype.Finite {
		return err
	}
	for _, p := range all {
		if p.To.IsZero() || p.To.After(floor.Time) {
			continue
		}
		if err := u.dropMonth(ctx, p); err != nil {
			return fmt.Errorf("drop the month %s: %w", p.Name, err)
		}
	}
	return nil
}

// dropMonth removes a partition, unless some of its events have to stay: then they are swept. All
// of it is looked at before anything goes, and once more before it is dropped; in between a look at
// each part is enough, since a hold that was set meanwhile keeps what is left.
func (u *Upkeep) dropMonth(ctx context.Context, p partition) error {
	table := pgx.Identifier{"audit", p.Name}.Sanitize()
	for after, more := int64(0), true; more; {
		err := u.insistingStep(ctx, func(tx pgx.Tx, settled int64) error {
			var last *int64
			err := tx.QueryRow(ctx, "select max(position) from (select position from "+table+" where position > $1 order by position limit $2) part", after, sweep).Scan(&last)
			if err != nil {
				return err
			}
			from, to := after, int64(math.MaxInt64)
			if last == nil {
				from = 0
			} else if after > 0 {
				to = *last
			}
			var some bool
			err = tx.QueryRow(ctx, "select exists (select from "+table+" e where position > $2 and position <= $3 and (position > $1 or "+stays+"))",
				settled, from, to).Scan(&some)
			if more = err == nil && !some && last != nil; err != nil || some {
				return err
			}
			if last == nil {
				return u.detach(ctx, tx, p, table)
			}
			values, err := tx.Exec(ctx, "delete from audit.personal_values v using "+table+" e where v.position = e.position and e.position > $1 and e.position <= $2", after, *last)
			if err != nil {
				return err
			}
			after = *last
			return count(ctx, tx, 0, values.RowsAffected(), "")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// detach drops an empty or ended partition. Counting is done before everybody waits, and not for
// nothing where somebody reads for long.
func (u *Upkeep) detach(ctx context.Context, tx pgx.Tx, p partition, table string) error {
	if err := obtainable(ctx, tx, table); err != nil {
		return err
	}
	var events int64
	if err := tx.QueryRow(ctx, "select count(*) from "+table).Scan(&events); err != nil {
		return err
	}
	if err := count(ctx, tx, events, 0, p.Name); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, noteRemoved+" from "+table+" "+byTile); err != nil {
		return fmt.Errorf("note which events are removed: %w", err)
	}
	if err := exclusive(ctx, tx, table); err != nil {
		return err
	}
	return execute(ctx, tx, []string{"alter table audit.events detach partition " + table, "drop table " + table})
}

// step is a transaction of Keep: no hold is set while it lasts, no other step and no erasure runs,
// and up to the position settled events may be removed. Two steps would wait for each other's
// leaves and partitions while everybody waits for them.
func (u *Upkeep) step(ctx context.Context, fn func(tx pgx.Tx, settled int64) error) error {
	return pg.InTx(ctx, u.box.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockUpkeep); err != nil {
			return err
		}
		making, err := partitionsOf(ctx, tx, staged)
		if err == nil && len(making) > 0 { // what is removed now would come back with them
			err = errors.New("another run makes months of the trail: the next run removes what is over")
		}
		if err != nil {
			return err
		}
		settled, err := settledUpTo(ctx, tx)
		if err != nil {
			return err
		}
		return fn(tx, settled)
	})
}

// lockUpkeep lets one transaction at a time change what is stored.
const lockUpkeep = "lock table audit.holds in share row exclusive mode"

// insistingStep is a step that may need a lock of the trail.
func (u *Upkeep) insistingStep(ctx context.Context, fn func(tx pgx.Tx, settled int64) error) error {
	return insisting(ctx, u.log, func() error { return u.step(ctx, fn) })
}

// sweepAll removes what is over one by one, by each retention.
func (u *Upkeep) sweepAll(ctx context.Context) error {
	rows, err := u.box.Pool.Query(ctx, `
		select organization_id, class, since, swept_until, swept_until from audit.retention where since > swept_until order by organization_id nulls first, class`)
	if err != nil {
		return pg.Error(err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sweeping])
	if err != nil {
		return pg.Error(err)
	}
	for _, s := range due {
		for more := true; more; {
			err := u.step(ctx, func(tx pgx.Tx, settled int64) (err error) {
				more, err = s.step(ctx, tx, settled)
				return err
			})
			if err != nil {
				return fmt.Errorf("remove %s that are over: %w", s.Class, err)
			}
		}
	}
	return nil
}

// tell writes the event about what was removed since the last one.
func (u *Upkeep) tell(ctx context.Context) (k Kept, err error) {
	err = u.box.InTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "select events, personal_values, months from audit.upkeep for update").Scan(&k.Events, &k.PersonalValues, &k.Months); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "update audit.upkeep set last_run = now(), events = 0, personal_values = 0, months = '{}'"); err != nil {
			return err
		}
		if k.Events == 0 && k.PersonalValues == 0 && len(k.Months) == 0 {
			return nil
		}
		e := event.Own(ctx, u.box.Source, "audit.events_removed", "audit_trail")
		e.Changes = changes("events", k.Events, "personal_values", k.PersonalValues, "months", k.Months)
		return audit.Record(ctx, u.box, tx, e)
	})
	return k, err
}

// count adds to what the next event tells.
func count(ctx context.Context, tx pgx.Tx, events, values int64, month string) error {
	_, err := tx.Exec(ctx, `
		update audit.upkeep set events = events + $1, personal_values = personal_values + $2,
			months = case when $3 = '' then months else months || $3 end`, events, values, month)
	return err
}

// changes are the fields of an event, given as names and values in turn; what is not set is left
// out.
func changes(namesAndValues ...any) []event.Change {
	var all []event.Change
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		value := namesAndValues[i+1]
		if t, ok := value.(time.Time); value == "" || ok && t.IsZero() {
			continue
		}
		text, err := json.Marshal(value)
		if err == nil { // all that are given are
			all = append(all, event.Change{Field: namesAndValues[i].(string), Value: text}) //nolint:forcetypeassert // as the comment says
		}
	}
	return all
}

// settleSQL keeps the hashes of events that no full tile of the log has yet, and forgets those that
// one has: then the events may go, and every proof over the rest holds.
const settleSQL = `
	with at as (select least((select coalesce(max(position), 0) - 1 from audit.events),
		coalesce((select size from audit.checkpoints order by origin desc, size desc limit 1), 0)) as settled),
	kept as (insert into audit.dropped_leaves (position, hash)
		select e.position, sha256('\x00'::bytea || e.canonical) from audit.events e, at
		where e.position > at.settled / 256 * 256 and e.position <= at.settled
		on conflict do nothing),
	forgotten as (delete from audit.dropped_leaves d using at where d.position <= at.settled / 256 * 256)
	select settled from at`

// settledUpTo is the last position whose event may be removed: one that a checkpoint of the log
// covers, and never that of the last event.
func settledUpTo(ctx context.Context, tx pgx.Tx) (settled int64, err error) {
	err = tx.QueryRow(ctx, settleSQL).Scan(&settled)
	return settled, err
}
