package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// errEmailTaken rolls the bootstrap back; it does not leave this package.
var errEmailTaken = errors.New("the address has a login")

// reserveBootstrap takes the one row of the bootstrap and the address, both or none. A second caller waits for the first one's commit.
func (s *Logins) reserveBootstrap(ctx context.Context, l login.Login, now, retry time.Time) (existing login.Login, reserved bool, err error) {
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			insert into auth.bootstrap (user_id, create_time) values (@user_id, @now) on conflict (only_row) do nothing`,
			pgx.StrictNamedArgs{"user_id": l.UserID, "now": now})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			existing, err = holder(ctx, tx)
			return err
		}
		reserved, err = insertPending(ctx, tx, l, now, retry)
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
		return login.Login{}, false, fmt.Errorf("reserve the first administrator: %w", err)
	case reserved:
		return l, true, nil
	}
	return existing, false, nil
}

const bootstrapHolder = `select ` + loginColumns + ` from auth.bootstrap join auth.logins using (user_id) where use_time is null`

// holder returns the pending login that has the bootstrap, both as of one moment: a moment later it may be active.
func holder(ctx context.Context, tx pgx.Tx) (login.Login, error) {
	row, err := one[loginRow](ctx, tx, bootstrapHolder, nil)
	if !errors.Is(err, pgx.ErrNoRows) {
		return row.login(), err
	}
	used, err := bootstrapped(ctx, tx)
	if err == nil && used {
		return login.Login{}, login.ErrBootstrapped
	}
	return login.Login{}, cmp.Or(err, login.ErrNotFound)
}

// Bootstrapped implements login.Store.
func (s *Logins) Bootstrapped(ctx context.Context) (bool, error) {
	used, err := bootstrapped(ctx, s.pool)
	if err != nil {
		return false, pg.Error(fmt.Errorf("read bootstrap: %w", err))
	}
	return used, nil
}

func bootstrapped(ctx context.Context, db database) (used bool, err error) {
	type answer struct{ Used bool }
	row, err := one[answer](ctx, db, `select exists (select from auth.bootstrap where use_time is not null) as used`, nil)
	return row.Used, err
}

// useBootstrap uses the secret up and appends the relationship that makes the user an administrator.
func (s *Logins) useBootstrap(ctx context.Context, tx pgx.Tx, userID string, now time.Time) (token string, err error) {
	change := login.Administrators(userID)
	token, err = s.outbox.Relate(ctx, tx, change.Writes[0].Object, change)
	if err != nil {
		return "", err
	}
	tag, err := tx.Exec(ctx, `
		update auth.bootstrap set use_time = @now, consistency_token = @token where user_id = @user_id and use_time is null`,
		pgx.StrictNamedArgs{"user_id": userID, "now": now, "token": token})
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("the first administrator's login is pending without the bootstrap")
	}
	return token, err
}

// freeBootstrap makes the secret good again when the login that is being deleted had it, and had not used it up.
func freeBootstrap(ctx context.Context, tx pgx.Tx, userID string) error {
	_, err := tx.Exec(ctx, `delete from auth.bootstrap where user_id = @user_id and use_time is null`, pgx.StrictNamedArgs{"user_id": userID})
	return err
}

// activeToken is the token of the relationship of an active first administrator, "" for any other active login.
func activeToken(ctx context.Context, tx pgx.Tx, userID string) (token string, err error) {
	err = tx.QueryRow(ctx, `
		select coalesce(b.consistency_token, '') from auth.logins l left join auth.bootstrap b on b.user_id = l.user_id
		where l.user_id = @user_id`, pgx.StrictNamedArgs{"user_id": userID}).Scan(&token)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", login.ErrNotFound
	}
	return token, err
}
