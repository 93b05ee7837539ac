package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Sessions implements session.Store.
type Sessions struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewSessions returns the store of sessions and revocations.
func NewSessions(pool *pgxpool.Pool, o *outbox.Outbox) *Sessions {
	return &Sessions{pool: pool, outbox: o}
}

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

// recordChanged ends a statement whose last part, changed, returns a row when something was changed: the event is appended with the
// change, after it and in the same round trip.
const recordChanged = `
	insert into auth.outbox (id, topic, key, payload)
	select @outbox_id::uuid, @outbox_topic::text, @outbox_key::text, @outbox_payload::bytea from changed`

// changeAndRecord runs a statement that ends with recordChanged and reports whether something was changed.
func changeAndRecord(ctx context.Context, db database, sql string, args pgx.StrictNamedArgs, m outbox.Message) (changed bool, err error) {
	maps.Copy(args, m.Args())
	tag, err := db.Exec(ctx, sql, args)
	return tag.RowsAffected() > 0, err
}

const startSession = `
	with login as (select user_id from auth.logins where user_id = @user_id and state = 'active' for share),
	changed as (
	    insert into auth.sessions (id, user_id, family_hash, token_hash, create_time, refresh_time, expire_time)
	    select @id, user_id, @family_hash, @token_hash, @create_time, @refresh_time, @expire_time from login
	    returning user_id)` + recordChanged

// Start implements session.Store. The shared lock on the login makes a removal wait for this session, or this session for the removal.
func (s *Sessions) Start(ctx context.Context, n session.Session, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	started, err := changeAndRecord(ctx, s.pool, startSession, pgx.StrictNamedArgs{
		"id": n.ID, "user_id": n.UserID, "family_hash": n.Family[:], "token_hash": n.Token[:],
		"create_time": n.CreateTime, "refresh_time": n.RefreshTime, "expire_time": n.ExpireTime,
	}, m)
	if err != nil {
		return pg.Error(fmt.Errorf("start session: %w", err))
	}
	if !started {
		return session.ErrNotFound
	}
	s.outbox.Wake()
	return nil
}

const sessionByFamily = `
	select s.id::text, s.user_id::text, l.organization_id::text, s.family_hash, s.token_hash, s.create_time, s.refresh_time, s.expire_time
	from auth.sessions s join auth.logins l on l.user_id = s.user_id
	where s.family_hash = @family_hash
	for update of s`

const rotateSession = `
	with changed as (
	    update auth.sessions set token_hash = @token_hash, refresh_time = @refresh_time where id = @id
	    returning id)` + recordChanged

// Refresh implements session.Store.
func (s *Sessions) Refresh(ctx context.Context, family [sha256.Size]byte, decide func(session.Session) session.Decision) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		row, err := one[sessionRow](ctx, tx, sessionByFamily, pgx.StrictNamedArgs{"family_hash": family[:]})
		if errors.Is(err, pgx.ErrNoRows) {
			return session.ErrNotFound
		}
		if err != nil {
			return err
		}
		return s.carryOut(ctx, tx, row, decide(row.session()))
	})
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		return fmt.Errorf("refresh session: %w", err)
	}
	return err
}

// carryOut does what was decided about a locked session.
func (s *Sessions) carryOut(ctx context.Context, tx pgx.Tx, row sessionRow, d session.Decision) error {
	if d.End == nil && d.Rotate == nil {
		return nil
	}
	m, err := audit.Seal(s.outbox, d.Event)
	if err != nil {
		return err
	}
	if d.End != nil {
		_, err = end(ctx, tx, row.UserID, *d.End, m)
		return err
	}
	_, err = changeAndRecord(ctx, tx, rotateSession,
		pgx.StrictNamedArgs{"id": row.ID, "token_hash": d.Rotate.Token[:], "refresh_time": d.Rotate.RefreshTime}, m)
	return err
}

// End implements session.Store.
func (s *Sessions) End(ctx context.Context, userID string, r session.Revocation, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	ended, err := end(ctx, s.pool, userID, r, m)
	if err != nil {
		return pg.Error(fmt.Errorf("end session: %w", err))
	}
	if ended {
		s.outbox.Wake()
	}
	return nil
}

// endSession checks the user by "is not distinct from", which no index serves: by "=" the planner may read all sessions of the user.
const endSession = `
	with changed as (delete from auth.sessions where id = @id and user_id is not distinct from @user_id returning id),
	revoked as (
	    insert into auth.revocations (session_id, expire_time)
	    select id, @expire_time from changed
	    on conflict (session_id) do nothing)` + recordChanged

// end deletes a session, revokes its access tokens and records that, in one statement.
func end(ctx context.Context, db database, userID string, r session.Revocation, m outbox.Message) (ended bool, err error) {
	return changeAndRecord(ctx, db, endSession, pgx.StrictNamedArgs{"id": r.SessionID, "user_id": userID, "expire_time": r.ExpireTime}, m)
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
