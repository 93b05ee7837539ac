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
	insert into authz.suspensions (subject, revision, reserve_time) values (@subject, @revision, clock_timestamp())
	on conflict (subject) do update set
		revision = greatest(suspensions.revision, excluded.revision), reserve_time = greatest(suspensions.reserve_time, excluded.reserve_time)`

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
	    or exists (select from authz.suspensions where subject = @subject and reserve_time > clock_timestamp() - @kept::interval)`

// departsIn returns the question for departures, asked in a transaction.
func departsIn(tx pgx.Tx) relationship.Departs {
	return func(ctx context.Context, user string) (departing bool, err error) {
		err = tx.QueryRow(ctx, departs, pgx.StrictNamedArgs{"subject": user, "kept": relationship.KeepDepartures}).Scan(&departing)
		return departing, err
	}
}

// settleSuspension keeps a departure for as long as it takes, endSuspension ends it; neither is about
// one that was reserved since for a later suspension.
const (
	settleSuspension = `update authz.suspensions set reserve_time = 'infinity' where subject = @subject and revision = @revision and reserve_time < 'infinity'`
	endSuspension    = `delete from authz.suspensions where subject = @subject and revision < @revision`
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

// forgetDepartures forgets with a deletion what was settled of the same user before.
const forgetDepartures = `
	with gone as (
		delete from authz.departures where subject = any(array(
			select subject from authz.departures where reserve_time < @before
			order by reserve_time limit @row_limit
			for update skip locked
		)) returning subject
	), settled as (
		delete from authz.suspensions s using gone where s.subject = gone.subject
	)
	select count(*) from gone`

const forgetSuspensions = `
	delete from authz.suspensions where subject = any(array(
		select subject from authz.suspensions where reserve_time < @before
		order by reserve_time limit @row_limit
		for update skip locked
	))`

// ForgetDepartures implements relationship.Store.
func (s *Commands) ForgetDepartures(ctx context.Context, before time.Time, limit int) (int, error) {
	args := pgx.StrictNamedArgs{"before": before, "row_limit": limit}
	var gone int
	if err := s.pool.QueryRow(ctx, forgetDepartures, args).Scan(&gone); err != nil {
		return 0, pg.Error(err)
	}
	suspensions, err := s.pool.Exec(ctx, forgetSuspensions, args)
	return max(gone, int(suspensions.RowsAffected())), pg.Error(err)
}
