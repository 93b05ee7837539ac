package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// errEmailTaken rolls the bootstrap back; it does not leave this package.
var errEmailTaken = errors.New("the address has a login")

// secretRow is the row of the secret that a login is made with: how it is taken, which pending
// login has it, and whether it is used up.
type secretRow struct {
	take           string
	taking         pgx.StrictNamedArgs
	holder, used   string
	holding, using pgx.StrictNamedArgs
}

const takeBootstrap = `insert into auth.bootstrap (user_id, create_time) values (@user_id, @now) on conflict (only_row) do nothing`

func rowOf(l login.Login, now time.Time) secretRow {
	if l.Recovery == "" {
		return secretRow{
			take: takeBootstrap, taking: pgx.StrictNamedArgs{"user_id": l.UserID, "now": now}, holder: bootstrapHolder, used: usedBootstrap,
		}
	}
	row := pgx.StrictNamedArgs{"secret_hash": l.Recovery.Bytes()}
	return secretRow{
		take: takeRecovery, taking: pgx.StrictNamedArgs{"user_id": l.UserID, "secret_hash": l.Recovery.Bytes()},
		holder: recoveryHolder, used: usedRecovery, holding: row, using: row,
	}
}

// reserveAdministrator takes the row of the secret and the address, both or none. A second caller
// waits for the first one's commit.
func (s *Logins) reserveAdministrator(ctx context.Context, l login.Login, by event.Event, now, retry time.Time) (existing login.Login, reserved bool, err error) {
	secret := rowOf(l, now)
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, secret.take, secret.taking)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			existing, err = secret.heldBy(ctx, tx)
			return err
		}
		reserved, err = insertPending(ctx, tx, l, by, now, retry)
		if err == nil && !reserved {
			return errEmailTaken
		}
		return err
	})
	switch {
	case errors.Is(err, errEmailTaken):
		existing, err = s.ByEmail(ctx, l.Email)
		return existing, false, err
	case errors.Is(err, login.ErrBootstrapped), errors.Is(err, login.ErrNotFound):
		return login.Login{}, false, err
	case err != nil:
		return login.Login{}, false, fmt.Errorf("reserve an administrator: %w", err)
	case reserved:
		return l, true, nil
	}
	return existing, false, nil
}

const bootstrapHolder = `select ` + loginColumns + ` from auth.bootstrap join auth.logins using (user_id) where use_time is null`

const usedBootstrap = `select exists (select from auth.bootstrap where use_time is not null) as used`

// heldBy returns the pending login that has the secret, both as of one moment: a moment later it
// may be active.
func (r secretRow) heldBy(ctx context.Context, tx pgx.Tx) (login.Login, error) {
	row, err := one[loginRow](ctx, tx, r.holder, r.holding)
	if !errors.Is(err, pgx.ErrNoRows) {
		return row.login(), err
	}
	used, err := isUsed(ctx, tx, r.used, r.using)
	if err == nil && used {
		return login.Login{}, login.ErrBootstrapped
	}
	return login.Login{}, cmp.Or(err, login.ErrNotFound)
}

// Bootstrapped implements login.Store.
func (s *Logins) Bootstrapped(ctx context.Context) (bool, error) {
	used, err := isUsed(ctx, s.pool, usedBootstrap, nil)
	if err != nil {
		return false, pg.Error(fmt.Errorf("read bootstrap: %w", err))
	}
	return used, nil
}

func isUsed(ctx context.Context, db database, sql string, args pgx.StrictNamedArgs) (used bool, err error) {
	type answer struct{ Used bool }
	row, err := one[answer](ctx, db, sql, args)
	return row.Used, err
}

const spendSecret = `
	with first as (
		update auth.bootstrap set use_time = @now, consistency_token = @token where user_id = @user_id and use_time is null returning user_id
	), again as (
		update auth.recoveries set use_time = @now, consistency_token = @token where user_id = @user_id and use_time is null returning user_id
	)
	select user_id from first union all select user_id from again`

// useSecret uses the secret of a login up and appends the relationship that makes the user an
// administrator.
func (s *Logins) useSecret(ctx context.Context, tx pgx.Tx, a login.Activation, now time.Time) (token string, err error) {
	token, err = authz.Relate(ctx, s.outbox, tx, a.Event, a.Administrator.Writes[0].Object, a.Administrator)
	if err != nil {
		return "", err
	}
	tag, err := tx.Exec(ctx, spendSecret, pgx.StrictNamedArgs{"user_id": a.UserID, "now": now, "token": token})
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("an administrator's login is pending without a secret")
	}
	return token, err
}

// freeSecret makes the secret good again when the login that is being deleted had it, and had not
// used it up.
func freeSecret(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `
		with freed as (delete from auth.bootstrap where user_id = @user_id and use_time is null)
		update auth.recoveries set user_id = null where user_id = @user_id and use_time is null`, pgx.StrictNamedArgs{"user_id": userID})
	return err
}

// activeToken is the token of the relationship of an active login that was made with a secret, ""
// for any other active login.
func activeToken(ctx context.Context, tx pgx.Tx, userID string) (token string, err error) {
	err = tx.QueryRow(ctx, `
		select coalesce(b.consistency_token, r.consistency_token, '')
		from auth.logins l left join auth.bootstrap b on b.user_id = l.user_id left join auth.recoveries r on r.user_id = l.user_id
		where l.user_id = @user_id`, pgx.StrictNamedArgs{"user_id": userID}).Scan(&token)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", login.ErrNotFound
	}
	return token, err
}
