package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Depart implements relationship.Store. The locks live as long as the transaction, so they are
// nobody's command's.
func (s *Commands) Depart(
	ctx context.Context, objects []string, d relationship.Departure, e event.Event,
	decide func(context.Context, relationship.Departs) error,
) (holders []string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, boundIdle, fmt.Sprint(maxIdle.Milliseconds())); err != nil {
			return err
		}
		if holders, err = lock(ctx, tx, objects, d.ID); err != nil {
			return err
		}
		if holders != nil {
			return errNotAccepted
		}
		if err := decide(ctx, departsIn(tx)); err != nil {
			return err
		}
		return s.storeDeparture(ctx, tx, d, e)
	})
	if errors.Is(err, errNotAccepted) {
		return holders, nil
	}
	return nil, err
}

const reserveDeletion = `
	insert into authz.departures (subject, reserve_time) values (@subject, clock_timestamp())
	on conflict (subject) do update set reserve_time = excluded.reserve_time`

// reserveSuspension leaves one that is settled so: it is settled anew, or the user has returned.
const reserveSuspension = `
	insert into authz.suspensions as known (subject, revision, reserve_time) values (@subject, @revision, clock_timestamp())
	on conflict (subject) do update set
		revision = greatest(known.revision, excluded.revision), reserve_time = greatest(known.reserve_time, excluded.reserve_time),
		returned = known.returned and known.revision >= excluded.revision`

func (s *Commands) storeDeparture(ctx context.Context, tx pgx.Tx, d relationship.Departure, e event.Event) error {
	reserve, args := reserveDeletion, pgx.StrictNamedArgs{"subject": d.User}
	if d.Suspension > 0 {
		reserve, args["revision"] = reserveSuspension, d.Suspension
	}
	_, err := tx.Exec(ctx, reserve, args)
	if err != nil {
		return fmt.Errorf("store the departure: %w", err)
	}
	if err := audit.Record(ctx, s.outbox, tx, e); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, releaseLocks, pgx.StrictNamedArgs{"id": d.ID}); err != nil {
		return fmt.Errorf("release locks: %w", err)
	}
	return nil
}

const departs = `
	select exists (select from authz.departures where subject = @subject and reserve_time > clock_timestamp() - @kept::interval)
	    or exists (select from authz.suspensions where subject = @subject and not returned and reserve_time > clock_timestamp() - @kept::interval)`

// departsIn returns the question for departures, asked in a transaction.
func departsIn(tx pgx.Tx) relationship.Departs {
	return func(ctx context.Context, user string) (departing bool, err error) {
		err = tx.QueryRow(ctx, departs, pgx.StrictNamedArgs{"subject": user, "kept": relationship.KeepDepartures}).Scan(&departing)
		return departing, err
	}
}

// settleSuspension keeps a departure for as long as it takes, with or without its reservation,
// which may have been forgotten meanwhile: the suspension is a fact. endSuspension ends it. Neither
// is about one of a later revision.
const (
	settleSuspension = `
		insert into authz.suspensions as known (subject, revision, reserve_time) values (@subject, @revision, 'infinity')
		on conflict (subject) do update set revision = excluded.revision, reserve_time = excluded.reserve_time, returned = false
		where known.revision < excluded.revision
		   or known.revision = excluded.revision and not known.returned and known.reserve_time < 'infinity'`
	endSuspension = `
		insert into authz.suspensions as known (subject, revision, reserve_time, returned) values (@subject, @revision, clock_timestamp(), true)
		on conflict (subject) do update set revision = excluded.revision, reserve_time = excluded.reserve_time, returned = true
		where known.revision < excluded.revision`
)

// Settle implements relationship.Store.
func (s *Commands) Settle(ctx context.Context, u relationship.Suspension, e event.Event) error {
	sql := settleSuspension
	if u.Returned {
		sql = endSuspension
	}
	return s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, pgx.StrictNamedArgs{"subject": u.User, "revision": u.Revision})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
}

const forgetDepartures = `
	delete from authz.departures where subject = any(array(
		select subject from authz.departures where reserve_time < @before
		order by reserve_time limit @row_limit
		for update skip locked
	))`

const forgetSuspensions = `
	delete from authz.suspensions where subject = any(array(
		select subject from authz.suspensions where reserve_time < @before
		order by reserve_time limit @row_limit
		for update skip locked
	))`

// forgetSuspended forgets the suspensions of the users whose deletion a command was: those whose
// relationship by which they exist it removed.
const forgetSuspended = `
	delete from authz.suspensions where subject in (
		select split_part(gone, '#', 1) from authz.commands c, unnest(c.deletes) gone
		where c.id = @id and gone like 'user:%#organization@%'
	)`

// ForgetDepartures implements relationship.Store.
func (s *Commands) ForgetDepartures(ctx context.Context, before time.Time, limit int) (int, error) {
	args := pgx.StrictNamedArgs{"before": before, "row_limit": limit}
	departures, err := s.pool.Exec(ctx, forgetDepartures, args)
	if err != nil {
		return 0, pg.Error(err)
	}
	suspensions, err := s.pool.Exec(ctx, forgetSuspensions, args)
	return int(max(departures.RowsAffected(), suspensions.RowsAffected())), pg.Error(err)
}
