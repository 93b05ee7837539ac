package postgres

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Codes implements openid.Store.
type Codes struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewCodes returns the store of used authorization codes.
func NewCodes(pool *pgxpool.Pool, o *outbox.Outbox) *Codes { return &Codes{pool: pool, outbox: o} }

// clientSessions is how many sessions of one client stay below one browser session. A page that
// signs in anew whenever it is loaded makes many; the oldest ones end.
const clientSessions = 50

// redeemCode takes the code by inserting the id of its session: of several at once one inserts it,
// and the others wait for that one. It waits for whoever deletes the client, or they for it, so that
// no session outlives its client.
const redeemCode = `
	with ` + liveBrowser + `,
	client as (select from auth.clients where id = @client_id for key share),
	used as (
	    insert into auth.used_codes (session_id, expire_time) select @id, @code_expires from browser, client
	    on conflict (session_id) do nothing
	    returning session_id),
	oldest as (
	    delete from auth.sessions where id in (
	        select id from auth.sessions
	        where browser_session_id = nullif(@browser_session_id, '')::uuid and client_id = @client_id and exists (select from used)
	        order by create_time desc offset @kept for update skip locked)
	    returning id),
	revoked as (
	    insert into auth.revocations (session_id, expire_time) select id, @revoked_until from oldest
	    on conflict (session_id) do nothing),
	changed as (
	    insert into auth.sessions (` + sessionColumns + `)
	    select ` + sessionValues + ` from used, browser
	    returning id)` + recordChanged

// Redeem implements openid.Store.
func (s *Codes) Redeem(ctx context.Context, n session.Session, codeExpires time.Time, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("redeem code: %w", err)
	}
	args := pgx.StrictNamedArgs{
		"code_expires": codeExpires, "kept": clientSessions - 1, "revoked_until": n.CreateTime.Add(session.RevocationPeriod),
	}
	maps.Copy(args, sessionArgs(n))
	redeemed, err := changeAndRecord(ctx, s.pool, redeemCode, args, m)
	if err == nil && !redeemed {
		return s.unredeemed(ctx, n.ID)
	}
	if err != nil {
		return pg.Error(fmt.Errorf("redeem code: %w", err))
	}
	s.outbox.Wake()
	return nil
}

// unredeemed is why a code was not taken.
func (s *Codes) unredeemed(ctx context.Context, id string) error {
	var used bool
	err := s.pool.QueryRow(ctx, `select exists (select from auth.used_codes where session_id = @id)`, pgx.StrictNamedArgs{"id": id}).Scan(&used)
	switch {
	case err != nil:
		return pg.Error(fmt.Errorf("look for a used code: %w", err))
	case used:
		return openid.ErrCodeUsed
	}
	return session.ErrNotFound
}

const cleanCodes = `
	delete from auth.used_codes where session_id in (
	    select session_id from auth.used_codes where expire_time <= @before
	    limit @limit for update skip locked)`

// CleanCodes implements openid.Store. Rows that somebody holds are left for the next time.
func (s *Codes) CleanCodes(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, cleanCodes, pgx.StrictNamedArgs{"before": before, "limit": limit})
	if err != nil {
		return 0, pg.Error(fmt.Errorf("clean used codes: %w", err))
	}
	return int(tag.RowsAffected()), nil
}
