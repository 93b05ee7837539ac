package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// Recover implements login.Recoveries. The times are the database's: the operator's machine and
// this program's need not agree on them.
func (s *Logins) Recover(ctx context.Context, secret login.SecretHash, lifetime time.Duration, e event.Event) (until time.Time, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			insert into auth.recoveries (secret_hash, create_time, expire_time)
			values (@secret_hash, clock_timestamp(), clock_timestamp() + @lifetime::interval)
			returning expire_time`, pgx.StrictNamedArgs{"secret_hash": secret.Bytes(), "lifetime": lifetime}).Scan(&until)
		if err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("store the recovery: %w", err)
	}
	return until, nil
}

// openRecovery is a secret that nobody has used: free and not expired, or held by a pending login,
// which may still be completed.
const openRecovery = `
	select exists (
		select from auth.recoveries
		where secret_hash = @secret_hash and use_time is null and (user_id is not null or expire_time > clock_timestamp())
	) as open`

// Recoverable implements login.Store.
func (s *Logins) Recoverable(ctx context.Context, secret login.SecretHash) (bool, error) {
	type answer struct{ Open bool }
	row, err := one[answer](ctx, s.pool, openRecovery, pgx.StrictNamedArgs{"secret_hash": secret.Bytes()})
	if err != nil {
		return false, pg.Error(fmt.Errorf("read recovery: %w", err))
	}
	return row.Open, nil
}

const takeRecovery = `
	update auth.recoveries set user_id = @user_id
	where secret_hash = @secret_hash and user_id is null and use_time is null and expire_time > clock_timestamp()`

const recoveryHolder = `
	select ` + loginColumns + ` from auth.recoveries join auth.logins using (user_id) where secret_hash = @secret_hash and use_time is null`

const usedRecovery = `
	select not exists (select from auth.recoveries where secret_hash = @secret_hash and use_time is null and user_id is not null) as used`
