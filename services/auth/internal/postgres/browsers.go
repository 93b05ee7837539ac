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
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Browsers implements session.BrowserStore.
type Browsers struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewBrowsers returns the store of browser sessions.
func NewBrowsers(pool *pgxpool.Pool, o *outbox.Outbox) *Browsers {
	return &Browsers{pool: pool, outbox: o}
}

type browserRow struct {
	ID             string
	UserID         string
	OrganizationID string
	SecretHash     []byte
	AuthTime       time.Time
	AMR            []string
	Address        string
	UserAgent      string
	CreateTime     time.Time
	SeenTime       time.Time
	ExpireTime     time.Time
}

func (r browserRow) browser() session.Browser {
	return session.Browser{
		ID: r.ID, UserID: r.UserID, OrganizationID: r.OrganizationID, Secret: [sha256.Size]byte(r.SecretHash),
		AuthTime: r.AuthTime, AMR: r.AMR, From: request.Client{Address: r.Address, Agent: r.UserAgent},
		CreateTime: r.CreateTime, SeenTime: r.SeenTime, ExpireTime: r.ExpireTime,
	}
}

const startBrowser = `
	with login as (` + provenLogin + `),
	changed as (
	    insert into auth.browser_sessions (id, secret_hash, user_id, auth_time, amr, address, user_agent, create_time, seen_time, expire_time)
	    select @id, @secret_hash, user_id, @auth_time, @amr, @address, @user_agent, @create_time, @seen_time, @expire_time from login
	    returning id)` + recordChanged

// StartBrowser implements session.BrowserStore.
func (s *Browsers) StartBrowser(ctx context.Context, b session.Browser, e event.Event) error {
	args := browserArgs(b)
	args["create_time"] = b.CreateTime
	if err := s.write(ctx, startBrowser, args, e); err != nil {
		return fmt.Errorf("start browser session: %w", err)
	}
	return nil
}

const renewBrowser = `
	with login as (` + provenLogin + `),
	changed as (
	    update auth.browser_sessions b
	    set secret_hash = @secret_hash, auth_time = @auth_time, amr = @amr, address = @address, user_agent = @user_agent,
	        seen_time = @seen_time, expire_time = @expire_time
	    from login where b.id = @id and b.secret_hash = @old_hash and b.user_id = login.user_id
	    returning id)` + recordChanged

// RenewBrowser implements session.BrowserStore.
func (s *Browsers) RenewBrowser(ctx context.Context, b session.Browser, old [sha256.Size]byte, e event.Event) error {
	args := browserArgs(b)
	args["old_hash"] = old[:]
	if err := s.write(ctx, renewBrowser, args, e); err != nil {
		return fmt.Errorf("renew browser session: %w", err)
	}
	return nil
}

func browserArgs(b session.Browser) pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{
		"id": b.ID, "secret_hash": b.Secret[:], "user_id": b.UserID, "auth_time": b.AuthTime, "amr": list(b.AMR), "address": b.From.Address,
		"user_agent": b.From.Agent, "seen_time": b.SeenTime, "expire_time": b.ExpireTime, "proven_by": b.ProvenBy, "factor": b.Factor,
	}
}

// write changes one session and records that, or nothing was there to change.
func (s *Browsers) write(ctx context.Context, sql string, args pgx.StrictNamedArgs, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return err
	}
	changed, err := changeAndRecord(ctx, s.pool, sql, args, m)
	if err != nil {
		return pg.Error(err)
	}
	if !changed {
		return session.ErrNotFound
	}
	s.outbox.Wake()
	return nil
}

const findBrowser = `
	with found as (
	    select b.id, b.user_id, l.organization_id, b.secret_hash, b.auth_time, b.amr, b.address, b.user_agent, b.create_time, b.seen_time,
	        b.expire_time
	    from auth.browser_sessions b join auth.logins l on l.user_id = b.user_id
	    where b.secret_hash = @secret_hash and b.expire_time > @now and b.seen_time > @idle_since
	        and not (` + lacksFactor + `)),
	seen as (
	    update auth.browser_sessions b set seen_time = @now from found
	    where b.id = found.id and found.seen_time <= @stale_since and b.seen_time <= @stale_since)
	select id::text, user_id::text, organization_id::text, secret_hash, auth_time, amr, address, user_agent, create_time, seen_time, expire_time
	from found`

// FindBrowser implements session.BrowserStore, in one round trip. A statement that updates no row
// writes nothing.
func (s *Browsers) FindBrowser(ctx context.Context, secret [sha256.Size]byte, now, idleSince, staleSince time.Time) (session.Browser, error) {
	row, err := one[browserRow](ctx, s.pool, findBrowser, pgx.StrictNamedArgs{
		"secret_hash": secret[:], "now": now, "idle_since": idleSince, "stale_since": staleSince,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return session.Browser{}, session.ErrNotFound
	}
	if err != nil {
		return session.Browser{}, pg.Error(fmt.Errorf("find browser session: %w", err))
	}
	return row.browser(), nil
}

// liveBrowser is the browser session below which a client's session begins, with its user, as parts
// of a statement: none when it has ended or expired or its login is not active. It waits for
// whoever ends either of them, or they for it; the login is locked first, as everywhere.
const liveBrowser = `
	login as (select user_id from auth.logins where user_id = @user_id and state = 'active' for share),
	browser as (
	    select b.id as browser_id, b.user_id from auth.browser_sessions b join login on login.user_id = b.user_id
	    where b.id = nullif(@browser_session_id, '')::uuid and b.expire_time > @create_time
	    for key share of b)`

// lockBrowser waits for whoever begins a client's session below at this moment. The statement after
// it sees that session; one that had to wait itself would not.
const lockBrowser = `select from auth.browser_sessions where id = @id and user_id is not distinct from @user_id for update`

const endBrowser = `
	with changed as (delete from auth.browser_sessions where id = @id and user_id is not distinct from @user_id returning id),
	below as (delete from auth.sessions s using changed where s.browser_session_id = changed.id returning s.id),
	revoked as (
	    insert into auth.revocations (session_id, expire_time)
	    select id, @expire_time from below
	    on conflict (session_id) do nothing)` + recordChanged

// EndBrowser implements session.BrowserStore, in one round trip: a batch is one transaction.
func (s *Browsers) EndBrowser(ctx context.Context, userID, id string, revokedUntil time.Time, e event.Event) error {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return fmt.Errorf("end browser session: %w", err)
	}
	of := pgx.StrictNamedArgs{"id": id, "user_id": userID}
	args := pgx.StrictNamedArgs{"expire_time": revokedUntil}
	maps.Copy(args, of)
	maps.Copy(args, m.Args())
	batch := &pgx.Batch{}
	batch.Queue(lockBrowser, of)
	batch.Queue(endBrowser, args)
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return pg.Error(fmt.Errorf("end browser session: %w", err))
	}
	s.outbox.Wake()
	return nil
}

const cleanBrowsers = `
	with over as (
	    select id from auth.browser_sessions where expire_time <= @now or seen_time <= @idle_since
	    limit @limit for update skip locked),
	below as (delete from auth.sessions s using over where s.browser_session_id = over.id)
	delete from auth.browser_sessions b using over where b.id = over.id`

// CleanBrowsers implements session.BrowserStore. Rows that somebody holds are left for the next
// time.
func (s *Browsers) CleanBrowsers(ctx context.Context, now, idleSince time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, cleanBrowsers, pgx.StrictNamedArgs{"now": now, "idle_since": idleSince, "limit": limit})
	if err != nil {
		return 0, pg.Error(fmt.Errorf("clean browser sessions: %w", err))
	}
	return int(tag.RowsAffected()), nil
}
