package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Mails implements mail.Store, and adds to the queue in the transactions of other stores.
type Mails struct {
	pool    *pgxpool.Pool
	limited func(context.Context, mail.Kind)
}

// NewMails returns the queue; limited hears of each mail that is not queued because its address had
// as many as it may have.
func NewMails(pool *pgxpool.Pool, limited func(context.Context, mail.Kind)) *Mails {
	return &Mails{pool: pool, limited: limited}
}

// queueMail counts and queues in one statement: whoever queues for the same address at the same
// time waits for the row of its hash.
const queueMail = `
	with counted as (
	    insert into auth.mail_addresses as a (hash, times, asked_times, last_time)
	    values (@hash, array[@now::timestamptz], case when @asked then array[@now::timestamptz] else '{}' end, @now)
	    on conflict (hash) do update
	    set times = array(select t from unnest(a.times) t where t > @since) || excluded.times,
	        asked_times = array(select t from unnest(a.asked_times) t where t > @since) || excluded.asked_times,
	        last_time = excluded.last_time
	    where (select count(*) from unnest(a.times) t where t > @since) < @most
	      and (not @asked or (select count(*) from unnest(a.asked_times) t where t > @since) < @most_asked)
	    returning hash)
	insert into auth.mails (id, kind, sealed, create_time, expire_time, attempt_time)
	select @id, @kind, @sealed, @now, @expire_time, @now from counted`

// Queue adds a mail to the transaction; nil is none. One that is over the limit of its address is
// left out, and the transaction goes on.
func (m *Mails) Queue(ctx context.Context, tx pgx.Tx, q *mail.Queued) error {
	_, err := m.queue(ctx, tx, q)
	return err
}

// queue is Queue, and reports whether somebody will be told.
func (m *Mails) queue(ctx context.Context, tx pgx.Tx, q *mail.Queued) (queued bool, err error) {
	if q == nil {
		return false, nil
	}
	tag, err := tx.Exec(ctx, queueMail, pgx.StrictNamedArgs{
		"hash": q.Address, "now": q.CreateTime, "since": q.CreateTime.Add(-mail.Window), "most": mail.Most,
		"asked": q.Asked(), "most_asked": mail.MostAsked,
		"id": q.ID, "kind": string(q.Kind), "sealed": q.Sealed, "expire_time": q.ExpireTime,
	})
	if err != nil {
		return false, fmt.Errorf("queue mail: %w", err)
	}
	if tag.RowsAffected() == 0 {
		m.limited(ctx, q.Kind)
		return false, nil
	}
	return true, nil
}

// claimMails leaves alone what another instance claims at the moment.
const claimMails = `
	update auth.mails set attempt_time = @lease, attempts = attempts + 1
	where id in (
	    select id from auth.mails where park_time is null and attempt_time <= @now and expire_time > @now
	    order by attempt_time limit @limit for update skip locked)
	returning id::text, kind, sealed, create_time, expire_time, attempts as attempt`

// Claim implements mail.Store.
func (m *Mails) Claim(ctx context.Context, now, lease time.Time, limit int) ([]mail.Claimed, error) {
	claimed, err := all[mail.Claimed](ctx, m.pool, claimMails, pgx.StrictNamedArgs{"now": now, "lease": lease, "limit": limit})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("claim mails: %w", err))
	}
	return claimed, nil
}

// Sent implements mail.Store.
func (m *Mails) Sent(ctx context.Context, id string) error {
	return m.change(ctx, `delete from auth.mails where id = @id`, pgx.StrictNamedArgs{"id": id})
}

// Retry implements mail.Store.
func (m *Mails) Retry(ctx context.Context, c mail.Claimed, next time.Time, reason string, sealed []byte) error {
	return m.change(ctx, `
		update auth.mails set attempt_time = least(@next, expire_time), reason = @reason, sealed = coalesce(@sealed, sealed)
		where id = @id and attempts = @attempt and park_time is null`,
		pgx.StrictNamedArgs{"id": c.ID, "attempt": c.Attempt, "next": next, "reason": reason, "sealed": sealed})
}

// Park implements mail.Store.
func (m *Mails) Park(ctx context.Context, c mail.Claimed, now time.Time, reason string) error {
	return m.change(ctx, `
		update auth.mails set park_time = @now, reason = @reason, sealed = null
		where id = @id and attempts = @attempt and park_time is null`,
		pgx.StrictNamedArgs{"id": c.ID, "attempt": c.Attempt, "now": now, "reason": reason})
}

func (m *Mails) change(ctx context.Context, sql string, args pgx.StrictNamedArgs) error {
	if _, err := m.pool.Exec(ctx, sql, args); err != nil {
		return pg.Error(fmt.Errorf("change mail: %w", err))
	}
	return nil
}

// expireMails leaves one alone of which an attempt is being made.
const expireMails = `
	delete from auth.mails where id in (
	    select id from auth.mails where park_time is null and expire_time <= @now and attempt_time <= @now
	    limit @limit for update skip locked)
	returning kind`

const cleanParked = `
	delete from auth.mails where id in (
	    select id from auth.mails where park_time is not null and park_time <= @before limit @limit for update skip locked)`

const cleanAddresses = `
	delete from auth.mail_addresses where hash in (
	    select hash from auth.mail_addresses where last_time <= @before limit @limit for update skip locked)`

// cleanMost bounds one Clean.
const cleanMost = 500

// Clean implements mail.Store.
func (m *Mails) Clean(ctx context.Context, now, parked, counted time.Time) (expired []mail.Kind, err error) {
	rows, err := m.pool.Query(ctx, expireMails, pgx.StrictNamedArgs{"now": now, "limit": cleanMost})
	if err == nil {
		expired, err = pgx.CollectRows(rows, pgx.RowTo[mail.Kind])
	}
	if err != nil {
		return nil, pg.Error(fmt.Errorf("clean mails: %w", err))
	}
	if err := m.change(ctx, cleanParked, pgx.StrictNamedArgs{"before": parked, "limit": cleanMost}); err != nil {
		return expired, err
	}
	return expired, m.change(ctx, cleanAddresses, pgx.StrictNamedArgs{"before": counted, "limit": cleanMost})
}

// standingMost bounds what counting costs while the server is away for long.
const standingMost = 10_000

const standingOfMails = `
	select (select count(*) from (select from auth.mails where park_time is null limit @most) w)::int as waiting,
	       (select count(*) from (select from auth.mails where park_time is not null limit @most) p)::int as parked,
	       (select create_time from auth.mails where park_time is null order by create_time limit 1) as oldest`

// Standing implements mail.Store.
func (m *Mails) Standing(ctx context.Context) (s mail.Standing, err error) {
	var oldest *time.Time
	err = m.pool.QueryRow(ctx, standingOfMails, pgx.StrictNamedArgs{"most": standingMost}).Scan(&s.Waiting, &s.Parked, &oldest)
	if err != nil {
		return s, pg.Error(fmt.Errorf("count mails: %w", err))
	}
	if oldest != nil {
		s.Oldest = *oldest
	}
	return s, nil
}

// Reseal implements mail.Store.
func (m *Mails) Reseal(ctx context.Context, reseal func(id string, sealed []byte) ([]byte, error)) (changed int, err error) {
	type row struct {
		ID     string
		Sealed []byte
	}
	err = pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
		changed = 0
		stored, err := all[row](ctx, tx, `select id::text, sealed from auth.mails where park_time is null order by id for update`, pgx.StrictNamedArgs{})
		if err != nil {
			return err
		}
		for _, r := range stored {
			sealed, err := reseal(r.ID, r.Sealed)
			if err != nil {
				return err
			}
			if sealed == nil {
				continue
			}
			if _, err := tx.Exec(ctx, `update auth.mails set sealed = @sealed where id = @id`, pgx.StrictNamedArgs{"id": r.ID, "sealed": sealed}); err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	if err != nil {
		return 0, pg.Error(fmt.Errorf("seal mails anew: %w", err))
	}
	return changed, nil
}
