package postgres

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Overview implements session.OverviewStore.
type Overview struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewOverview returns the store that shows and ends a user's sessions.
func NewOverview(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *Overview {
	return &Overview{pool: pool, outbox: o, mails: m}
}

type entryRow struct {
	ID         string
	Browser    bool
	Address    string
	UserAgent  string
	CreateTime time.Time
	SeenTime   time.Time
	ExpireTime time.Time
}

type clientEntryRow struct {
	BrowserID  string
	ID         string
	ClientID   string
	ClientName string
	CreateTime time.Time
	SeenTime   time.Time
	ExpireTime time.Time
}

const listEntries = `
	with mine as (
	    select id, true as browser, address, user_agent, create_time, seen_time, expire_time
	    from auth.browser_sessions where user_id = @user_id and expire_time > @now and seen_time > @browser_idle
	    union all
	    select id, false, address, user_agent, create_time, refresh_time, expire_time
	    from auth.sessions where user_id = @user_id and browser_session_id is null and expire_time > @now and refresh_time > @idle_since)
	select id::text, browser, address, user_agent, create_time, seen_time, expire_time
	from mine where @first or (create_time, id) < (@after_time, @after_id::uuid)
	order by create_time desc, id desc limit @row_limit`

const listBelow = `
	select above.id::text as browser_id, s.id::text, s.client_id, coalesce(c.name, '') as client_name, s.create_time, s.refresh_time as seen_time,
	    s.expire_time
	from unnest(@browsers::uuid[]) above (id)
	cross join lateral (
	    select id, client_id, create_time, refresh_time, expire_time from auth.sessions
	    where browser_session_id = above.id and expire_time > @now and refresh_time > @idle_since
	    order by create_time desc, id desc limit 100) s
	left join auth.clients c on c.id = s.client_id
	order by s.create_time desc, s.id desc`

// ListEntries implements session.OverviewStore.
func (s *Overview) ListEntries(ctx context.Context, userID string, l session.Limits, q resource.Query) ([]session.Entry, error) {
	args := pgx.StrictNamedArgs{
		"user_id": userID, "now": l.Now, "idle_since": l.IdleSince, "browser_idle": l.BrowserIdle,
		"first": q.After == nil, "after_time": time.Time{}, "after_id": "00000000-0000-0000-0000-000000000000", "row_limit": q.Limit,
	}
	if q.After != nil {
		args["after_time"], args["after_id"] = q.After.CreateTime, q.After.ID
	}
	rows, err := all[entryRow](ctx, s.pool, listEntries, args)
	if err != nil {
		return nil, pg.Error(fmt.Errorf("list sessions: %w", err))
	}
	browsers := []string{}
	for _, r := range rows {
		if r.Browser {
			browsers = append(browsers, r.ID)
		}
	}
	below, err := all[clientEntryRow](ctx, s.pool, listBelow, pgx.StrictNamedArgs{"browsers": browsers, "now": l.Now, "idle_since": l.IdleSince})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("list clients' sessions: %w", err))
	}
	clients := map[string][]session.ClientEntry{}
	for _, r := range below {
		clients[r.BrowserID] = append(clients[r.BrowserID], session.ClientEntry{
			ID: r.ID, ClientID: r.ClientID, ClientName: r.ClientName, CreateTime: r.CreateTime, SeenTime: r.SeenTime, ExpireTime: r.ExpireTime,
		})
	}
	entries := make([]session.Entry, len(rows))
	for i, r := range rows {
		entries[i] = session.Entry{
			ID: r.ID, Browser: r.Browser, From: request.Client{Address: r.Address, Agent: r.UserAgent}, CreateTime: r.CreateTime,
			SeenTime: r.SeenTime, ExpireTime: r.ExpireTime, Clients: clients[r.ID],
		}
	}
	return entries, nil
}

const endOne = `
	with browser as (delete from auth.browser_sessions where id = @id and user_id is not distinct from @user_id returning id),
	ended as (
	    delete from auth.sessions where (id = @id or browser_session_id = @id) and user_id is not distinct from @user_id
	    returning id),
	revoked as (
	    insert into auth.revocations (session_id, expire_time)
	    select id, @expire_time from ended
	    on conflict (session_id) do nothing),
	changed as (select id from browser union all select id from ended limit 1)` + recordChanged

// EndOne implements session.OverviewStore, in one round trip where nobody is told: a batch is one
// transaction.
func (s *Overview) EndOne(ctx context.Context, userID, id string, revokedUntil time.Time, notice *mail.Queued, e event.Event) (ended bool, err error) {
	of := pgx.StrictNamedArgs{"id": id, "user_id": userID}
	args := pgx.StrictNamedArgs{"expire_time": revokedUntil}
	maps.Copy(args, of)
	ended, err = s.end(ctx, endOne, args, notice, e, func(b *pgx.Batch) { b.Queue(lockBrowser, of) })
	if err != nil {
		return false, fmt.Errorf("end session: %w", err)
	}
	return ended, nil
}

// Whoever ends all sessions of a user locks login and browser sessions first, in this order, like
// whoever begins one: the statement after these sees all there are.
const (
	lockLogin    = `select from auth.logins where user_id = @user_id for update`
	lockBrowsers = `select from auth.browser_sessions where user_id = @user_id for update`
)

const endOthers = `
	with kept as (select browser_session_id as id from auth.sessions where id = nullif(@keep, '')::uuid and user_id = @user_id),
	browsers as (
	    delete from auth.browser_sessions b
	    where user_id = @user_id and id is distinct from nullif(@keep, '')::uuid and not exists (select from kept where kept.id = b.id)
	    returning id),
	ended as (delete from auth.sessions where user_id = @user_id and id is distinct from nullif(@keep, '')::uuid returning id),
	revoked as (
	    insert into auth.revocations (session_id, expire_time)
	    select id, @expire_time from ended
	    on conflict (session_id) do nothing),
	changed as (select id from browsers union all select id from ended limit 1)`

// EndOthers implements session.OverviewStore, likewise.
func (s *Overview) EndOthers(ctx context.Context, userID, keep string, revokedUntil time.Time, notice *mail.Queued, e event.Event) error {
	of := pgx.StrictNamedArgs{"user_id": userID}
	args := pgx.StrictNamedArgs{"user_id": userID, "keep": keep, "expire_time": revokedUntil}
	_, err := s.end(ctx, endOthers+recordChanged, args, notice, e, func(b *pgx.Batch) {
		b.Queue(lockLogin, of)
		b.Queue(lockBrowsers, of)
	})
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// end runs a statement that ends with recordChanged behind its locks, reports whether something was
// changed, and queues the notice then, nil for none.
func (s *Overview) end(ctx context.Context, sql string, args pgx.StrictNamedArgs, notice *mail.Queued, e event.Event, lock func(*pgx.Batch)) (changed bool, err error) {
	m, err := audit.Seal(s.outbox, e)
	if err != nil {
		return false, err
	}
	maps.Copy(args, m.Args())
	batch := &pgx.Batch{}
	lock(batch)
	batch.Queue(sql, args).Exec(func(tag pgconn.CommandTag) error {
		changed = tag.RowsAffected() > 0
		return nil
	})
	if notice == nil {
		err = s.pool.SendBatch(ctx, batch).Close()
	} else {
		err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if err := tx.SendBatch(ctx, batch).Close(); err != nil || !changed {
				return err
			}
			return s.mails.Queue(ctx, tx, notice)
		})
	}
	if err != nil {
		return false, pg.Error(err)
	}
	if changed {
		s.outbox.Wake()
	}
	return changed, nil
}
