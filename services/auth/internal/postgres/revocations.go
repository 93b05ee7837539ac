package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const newRevocations = `select session_id::text, expire_time from auth.revocations where writer >= @after and expire_time > @now`

// Revocations implements session.Store. The window is the oldest transaction that is still running
// before the rows are read: a row that this read cannot see yet was written by that one or a later
// one.
func (s *Sessions) Revocations(ctx context.Context, after session.Window, now time.Time) ([]session.Revocation, session.Window, error) {
	batch := &pgx.Batch{} // one round trip, each statement with its own snapshot, in this order
	batch.Queue(`select pg_snapshot_xmin(pg_current_snapshot())::text::bigint`)
	batch.Queue(newRevocations,
		pgx.StrictNamedArgs{"after": int64(after), "now": now})
	results := s.pool.SendBatch(ctx, batch)
	var window int64
	err := results.QueryRow().Scan(&window)
	var ended []session.Revocation
	if err == nil {
		rows, _ := results.Query() // its error comes out of CollectRows
		ended, err = pgx.CollectRows(rows, pgx.RowToStructByName[session.Revocation])
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return nil, 0, pg.Error(fmt.Errorf("read revocations: %w", err))
	}
	return ended, session.Window(window), nil
}

// Clean implements session.Store. Rows that somebody holds are left for the next time.
func (s *Sessions) Clean(ctx context.Context, now, idleSince time.Time, limit int) (int, error) {
	deleted := 0
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		sessions, err := tx.Exec(ctx, `
			delete from auth.sessions where id in (
			    select id from auth.sessions where expire_time <= @now or refresh_time <= @idle_since
			    limit @limit for update skip locked)`,
			pgx.StrictNamedArgs{"now": now, "idle_since": idleSince, "limit": limit})
		if err != nil {
			return err
		}
		revocations, err := tx.Exec(ctx, `
			delete from auth.revocations where session_id in (
			    select session_id from auth.revocations where expire_time <= @now
			    limit @limit for update skip locked)`,
			pgx.StrictNamedArgs{"now": now, "limit": limit})
		deleted = int(sessions.RowsAffected() + revocations.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("clean sessions: %w", err)
	}
	return deleted, nil
}
