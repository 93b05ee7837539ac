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

func (s *Commands) storeDeparture(ctx context.Context, tx pgx.Tx, d relationship.Departure, e event.Event) error {
	_, err := tx.Exec(ctx, `
		insert into authz.departures (subject, reserve_time) values (@subject, clock_timestamp())
		on conflict (subject) do update set reserve_time = excluded.reserve_time`, pgx.StrictNamedArgs{"subject": d.User})
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
	select exists (select from authz.departures where subject = @subject and reserve_time > clock_timestamp() - @kept::interval)`

// departsIn returns the question for departures, asked in a transaction.
func departsIn(tx pgx.Tx) relationship.Departs {
	return func(ctx context.Context, user string) (departing bool, err error) {
		err = tx.QueryRow(ctx, departs, pgx.StrictNamedArgs{"subject": user, "kept": relationship.KeepDepartures}).Scan(&departing)
		return departing, err
	}
}

const forgetDepartures = `
	delete from authz.departures where subject = any(array(
		select subject from authz.departures where reserve_time < @before
		order by reserve_time limit @row_limit
		for update skip locked
	))`

// ForgetDepartures implements relationship.Store.
func (s *Commands) ForgetDepartures(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, forgetDepartures, pgx.StrictNamedArgs{"before": before, "row_limit": limit})
	return int(tag.RowsAffected()), pg.Error(err)
}
