package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Sessions implements session.Store.
type Sessions struct{ pool *pgxpool.Pool }

// NewSessions returns the store of sessions and revocations.
func NewSessions(pool *pgxpool.Pool) *Sessions { return &Sessions{pool: pool} }

type sessionRow struct {
	ID             string
	UserID         string
	OrganizationID string
	FamilyHash     []byte
	TokenHash      []byte
	CreateTime     time.Time
	RefreshTime    time.Time
	ExpireTime     time.Time
}

func (r sessionRow) session() session.Session {
	return session.Session{
		ID: r.ID, UserID: r.UserID, OrganizationID: r.OrganizationID,
		Family: [sha256.Size]byte(r.FamilyHash), Token: [sha256.Size]byte(r.TokenHash),
		CreateTime: r.CreateTime, RefreshTime: r.RefreshTime, ExpireTime: r.ExpireTime,
	}
}

// Start implements session.Store. The shared lock on the login makes a removal wait for this session, or this session for the removal.
func (s *Sessions) Start(ctx context.Context, n session.Session) error {
	tag, err := s.pool.Exec(ctx, `
		with login as (select user_id from auth.logins where user_id = @user_id and state = 'active' for share)
		insert into auth.sessions (id, user_id, family_hash, token_hash, create_time, refresh_time, expire_time)
		select @id, user_id, @family_hash, @token_hash, @create_time, @refresh_time, @expire_time from login`,
		pgx.StrictNamedArgs{
			"id": n.ID, "user_id": n.UserID, "family_hash": n.Family[:], "token_hash": n.Token[:],
			"create_time": n.CreateTime, "refresh_time": n.RefreshTime, "expire_time": n.ExpireTime,
		})
	if err != nil {
		return pg.Error(fmt.Errorf("start session: %w", err))
	}
	if tag.RowsAffected() == 0 {
		return session.ErrNotFound
	}
	return nil
}

const sessionByFamily = `
	select s.id::text, s.user_id::text, l.organization_id::text, s.family_hash, s.token_hash, s.create_time, s.refresh_time, s.expire_time
	from auth.sessions s join auth.logins l on l.user_id = s.user_id
	where s.family_hash = @family_hash
	for update of s`

// Refresh implements session.Store.
func (s *Sessions) Refresh(ctx context.Context, family [sha256.Size]byte, decide func(session.Session) session.Decision) error {
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		row, err := one[sessionRow](ctx, tx, sessionByFamily, pgx.StrictNamedArgs{"family_hash": family[:]})
		if errors.Is(err, pgx.ErrNoRows) {
			return session.ErrNotFound
		}
		if err != nil {
			return err
		}
		switch d := decide(row.session()); {
		case d.End != nil:
			return end(ctx, tx, *d.End)
		case d.Rotate != nil:
			_, err = tx.Exec(ctx, `update auth.sessions set token_hash = @token_hash, refresh_time = @refresh_time where id = @id`,
				pgx.StrictNamedArgs{"id": row.ID, "token_hash": d.Rotate.Token[:], "refresh_time": d.Rotate.RefreshTime})
			return err
		}
		return nil
	})
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("refresh session: %w", err)
	}
	return err
}

// End implements session.Store.
func (s *Sessions) End(ctx context.Context, r session.Revocation) error {
	if err := end(ctx, s.pool, r); err != nil {
		return pg.Error(fmt.Errorf("end session: %w", err))
	}
	return nil
}

// end deletes a session and revokes its access tokens in one statement.
func end(ctx context.Context, db database, r session.Revocation) error {
	_, err := db.Exec(ctx, `
		with ended as (delete from auth.sessions where id = @id returning id)
		insert into auth.revocations (session_id, expire_time)
		select id, @expire_time from ended
		on conflict (session_id) do nothing`,
		pgx.StrictNamedArgs{"id": r.SessionID, "expire_time": r.ExpireTime})
	return err
}

const newRevocations = `select session_id::text, expire_time from auth.revocations where writer >= @after and expire_time > @now`

// Revocations implements session.Store. The window is the oldest transaction that is still running before the rows are read: a row that
// this read cannot see yet was written by that one or a later one.
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
