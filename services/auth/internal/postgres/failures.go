package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Failures implements throttle.Store.
type Failures struct{ pool *pgxpool.Pool }

// NewFailures returns the store of failures.
func NewFailures(pool *pgxpool.Pool) *Failures { return &Failures{pool: pool} }

type verdictRow struct {
	Admitted bool
	Exceeded bool
}

// The counter's row is locked, so that each of several attempts at once sees what the one before has
// made of it. A success without a failure before finds no row and writes none.
const settleAttempt = `
	with device as (select exists (select from auth.known_devices where device_hash = @device) as known),
	platform as (
	    select not known
	           and exists (select from auth.failures where key = any(@windows) and count >= @budget)
	           and exists (select from auth.failures where key = @address and update_time > @address_forgotten) as exceeded
	    from device),
	counter as (
	    select case when known then @device::bytea else @account::bytea end as key from device, platform where not exceeded),
	counted as (
	    insert into auth.failures as f (key, count, blocked_until, attempt_id, update_time)
	    select key, 1, @now, @id, @now from counter
	    where not @proven or exists (select from auth.failures a where a.key = counter.key)
	    on conflict (key) do update set
	        count = case
	            when f.blocked_until > @now then f.count
	            when @proven then 0
	            when f.update_time <= @forgotten then 1
	            else least(f.count + 1, 1000) end,
	        blocked_until = case
	            when f.blocked_until > @now then f.blocked_until
	            when @proven or f.update_time <= @forgotten or f.count + 1 < @free then @now
	            else @now + least(@first_wait::interval * power(2, least(f.count + 1 - @free, 20)), @longest_wait::interval) end,
	        attempt_id = case when f.blocked_until > @now then f.attempt_id else @id end,
	        update_time = case when f.blocked_until > @now then f.update_time else @now end
	    returning attempt_id = @id as admitted),
	verdict as (
	    select not exceeded and coalesce((select admitted from counted), true) as admitted, exceeded from platform),
	failed as (
	    insert into auth.failures as f (key, count, blocked_until, attempt_id, update_time)
	    select key, 1, @now, @id, @now from verdict, unnest(array[@address::bytea, @window::bytea]) as key
	    where not (admitted and @proven) order by key
	    on conflict (key) do update set
	        count = case when f.update_time <= @forgotten then 1 else least(f.count + 1, 1000000000) end, update_time = @now),
	remembered as (
	    insert into auth.known_devices as d (device_hash, user_id, seen_time)
	    select @device, l.user_id, @now from verdict, auth.logins l where admitted and @remember and l.user_id = @user_id
	    on conflict (device_hash) do update set seen_time = excluded.seen_time where d.seen_time < @now - interval '1 day')
	select admitted, exceeded from verdict`

// Settle implements throttle.Store.
func (s *Failures) Settle(ctx context.Context, o throttle.Outcome) (throttle.Verdict, error) {
	var user any // nobody is null
	if o.UserID != "" {
		user = o.UserID
	}
	row, err := one[verdictRow](ctx, s.pool, settleAttempt, pgx.StrictNamedArgs{
		"id": o.ID, "account": o.Account[:], "device": o.Device[:], "address": o.Address[:], "window": o.Windows[0][:],
		"windows": [][]byte{o.Windows[0][:], o.Windows[1][:]}, "budget": o.Budget, "proven": user != nil, "remember": o.Remember, "user_id": user,
		"now": o.Now, "forgotten": o.Forgotten, "address_forgotten": o.AddressForgotten,
		"free": throttle.FreeFailures, "first_wait": throttle.FirstWait, "longest_wait": throttle.LongestWait,
	})
	if err != nil {
		return throttle.Verdict{}, pg.Error(fmt.Errorf("settle an attempt: %w", err))
	}
	return throttle.Verdict(row), nil
}

const forgetFailures = `delete from auth.failures where key = @key`

// Forget implements throttle.Store.
func (s *Failures) Forget(ctx context.Context, counter throttle.Key) error {
	if _, err := s.pool.Exec(ctx, forgetFailures, pgx.StrictNamedArgs{"key": counter[:]}); err != nil {
		return pg.Error(fmt.Errorf("forget failures: %w", err))
	}
	return nil
}

const (
	cleanFailures = `
		delete from auth.failures where update_time <= greatest(@before::timestamptz, (
		    select update_time from auth.failures order by update_time desc offset @most limit 1))`
	cleanDevices = `delete from auth.known_devices where seen_time <= @before`
)

// Clean implements throttle.Store.
func (s *Failures) Clean(ctx context.Context, counters, devices time.Time, most int) error {
	_, err := s.pool.Exec(ctx, cleanFailures, pgx.StrictNamedArgs{"before": counters, "most": most})
	_, err2 := s.pool.Exec(ctx, cleanDevices, pgx.StrictNamedArgs{"before": devices})
	if err = errors.Join(err, err2); err != nil {
		return pg.Error(fmt.Errorf("clean failures: %w", err))
	}
	return nil
}
