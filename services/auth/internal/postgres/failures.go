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

type answerRow struct {
	Admitted bool
	Known    bool
	Exceeded bool
}

// The counter's row is locked by the upsert, so that each of several attempts at once sees what the
// one before has made of it.
const admitAttempt = `
	with device as (select exists (select from auth.known_devices where device_hash = @device) as known),
	platform as (
	    select not known
	           and exists (select from auth.failures where key = any(@windows) and count >= @budget)
	           and exists (select from auth.failures where key = @address and update_time > @address_forgotten) as exceeded
	    from device),
	counted as (
	    insert into auth.failures as f (key, count, blocked_until, attempt_id, update_time)
	    select case when known then @device else @account end, 1, @now, @id, @now from device, platform where not exceeded
	    on conflict (key) do update set
	        count = case
	            when f.blocked_until > @now then f.count
	            when f.update_time <= @forgotten then 1
	            else least(f.count + 1, 1000) end,
	        blocked_until = case
	            when f.blocked_until > @now then f.blocked_until
	            when f.update_time <= @forgotten or f.count + 1 < @free then @now
	            else @now + least(@first_wait::interval * power(2, least(f.count + 1 - @free, 20)), @longest_wait::interval) end,
	        attempt_id = case when f.blocked_until > @now then f.attempt_id else @id end,
	        update_time = case when f.blocked_until > @now then f.update_time else @now end
	    returning attempt_id = @id as admitted)
	select coalesce((select admitted from counted), false) as admitted, known, exceeded from device, platform`

// Admit implements throttle.Store.
func (s *Failures) Admit(ctx context.Context, q throttle.Question) (throttle.Answer, error) {
	row, err := one[answerRow](ctx, s.pool, admitAttempt, pgx.StrictNamedArgs{
		"id": q.ID, "account": q.Account[:], "device": q.Device[:], "address": q.Address[:],
		"windows": [][]byte{q.Windows[0][:], q.Windows[1][:]}, "budget": q.Budget,
		"now": q.Now, "forgotten": q.Forgotten, "address_forgotten": q.AddressForgotten,
		"free": throttle.FreeFailures, "first_wait": throttle.FirstWait, "longest_wait": throttle.LongestWait,
	})
	if err != nil {
		return throttle.Answer{}, pg.Error(fmt.Errorf("admit an attempt: %w", err))
	}
	return throttle.Answer(row), nil
}

const countFailures = `
	insert into auth.failures as f (key, count, blocked_until, attempt_id, update_time)
	select key, 1, @now, '00000000-0000-0000-0000-000000000000', @now from unnest(@keys::bytea[]) as key order by key
	on conflict (key) do update set
	    count = case when f.update_time <= @forgotten then 1 else least(f.count + 1, 1000000000) end, update_time = @now`

// Fail implements throttle.Store. The order keeps two of them from waiting for each other.
func (s *Failures) Fail(ctx context.Context, keys []throttle.Key, now, forgotten time.Time) error {
	raw := make([][]byte, len(keys))
	for i := range keys {
		raw[i] = keys[i][:]
	}
	_, err := s.pool.Exec(ctx, countFailures, pgx.StrictNamedArgs{"keys": raw, "now": now, "forgotten": forgotten})
	if err != nil {
		return pg.Error(fmt.Errorf("count a failure: %w", err))
	}
	return nil
}

const withdrawAttempt = `
	update auth.failures set count = count - 1, blocked_until = @now where key = @key and attempt_id = @id and count > 0`

// Withdraw implements throttle.Store.
func (s *Failures) Withdraw(ctx context.Context, counter throttle.Key, id string, now time.Time) error {
	_, err := s.pool.Exec(ctx, withdrawAttempt, pgx.StrictNamedArgs{"key": counter[:], "id": id, "now": now})
	if err != nil {
		return pg.Error(fmt.Errorf("withdraw an attempt: %w", err))
	}
	return nil
}

const forgive = `
	with forgiven as (delete from auth.failures where key = @key)
	insert into auth.known_devices as d (device_hash, user_id, seen_time)
	select @device, user_id, @now from auth.logins where user_id = @user_id and @device::bytea is not null
	on conflict (device_hash) do update set seen_time = excluded.seen_time`

// Forgive implements throttle.Store.
func (s *Failures) Forgive(ctx context.Context, counter throttle.Key, device *throttle.Key, userID string, now time.Time) error {
	var hash []byte
	if device != nil {
		hash = device[:]
	}
	_, err := s.pool.Exec(ctx, forgive, pgx.StrictNamedArgs{"key": counter[:], "device": hash, "user_id": userID, "now": now})
	if err != nil {
		return pg.Error(fmt.Errorf("forgive failures: %w", err))
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
