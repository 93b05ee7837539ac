package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// Logins implements login.Store.
type Logins struct{ pool *pgxpool.Pool }

// NewLogins returns the store of logins.
func NewLogins(pool *pgxpool.Pool) *Logins { return &Logins{pool: pool} }

const loginColumns = `user_id::text, email, password_hash, state, coalesce(organization_id::text, '') as organization_id, display_name`

type loginRow struct {
	UserID         string
	Email          string
	PasswordHash   string
	State          string
	OrganizationID string
	DisplayName    string
}

func (r loginRow) login() login.Login {
	return login.Login{
		UserID: r.UserID, Email: r.Email, PasswordHash: r.PasswordHash, State: login.State(r.State),
		OrganizationID: r.OrganizationID, DisplayName: r.DisplayName,
	}
}

// Reserve implements login.Store.
func (s *Logins) Reserve(ctx context.Context, l login.Login, now, retry time.Time) (login.Login, bool, error) {
	tag, err := s.pool.Exec(ctx, `
		insert into auth.logins (user_id, email, password_hash, state, display_name, create_time, update_time, attempt_time)
		values (@user_id, @email, @password_hash, 'pending', @display_name, @now, @now, @retry)
		on conflict on constraint logins_email_key do nothing`,
		pgx.StrictNamedArgs{
			"user_id": l.UserID, "email": l.Email, "password_hash": l.PasswordHash, "display_name": l.DisplayName, "now": now, "retry": retry,
		})
	if err != nil {
		return login.Login{}, false, pg.Error(fmt.Errorf("reserve login: %w", err))
	}
	if tag.RowsAffected() == 1 {
		return l, true, nil
	}
	existing, err := s.ByEmail(ctx, l.Email)
	return existing, false, err
}

const loginByEmail = `select ` + loginColumns + ` from auth.logins where email = @email`

// ByEmail implements login.Store.
func (s *Logins) ByEmail(ctx context.Context, email string) (login.Login, error) {
	row, err := one[loginRow](ctx, s.pool, loginByEmail, pgx.StrictNamedArgs{"email": email})
	if errors.Is(err, pgx.ErrNoRows) {
		return login.Login{}, login.ErrNotFound
	}
	if err != nil {
		return login.Login{}, pg.Error(fmt.Errorf("read login: %w", err))
	}
	return row.login(), nil
}

// Activate implements login.Store.
func (s *Logins) Activate(ctx context.Context, userID, organizationID string, now time.Time) error {
	tag, err := s.pool.Exec(ctx, `
		update auth.logins
		set state = 'active', organization_id = coalesce(organization_id, @organization_id), display_name = '', attempt_time = null,
		    update_time = case state when 'pending' then @now else update_time end
		where user_id = @user_id`,
		pgx.StrictNamedArgs{"user_id": userID, "organization_id": organizationID, "now": now})
	if err != nil {
		return pg.Error(fmt.Errorf("activate login: %w", err))
	}
	if tag.RowsAffected() == 0 {
		return login.ErrNotFound
	}
	return nil
}

// Undo implements login.Store.
func (s *Logins) Undo(ctx context.Context, userID string) error {
	_, err := s.pool.Exec(ctx, `delete from auth.logins where user_id = @user_id and state = 'pending'`, pgx.StrictNamedArgs{"user_id": userID})
	if err != nil {
		return pg.Error(fmt.Errorf("undo pending login: %w", err))
	}
	return nil
}

const claimLogins = `
	update auth.logins set attempt_time = @retry
	where user_id in (
	    select user_id from auth.logins
	    where state = 'pending' and attempt_time <= @now
	    order by attempt_time limit @limit for update skip locked)
	returning ` + loginColumns

// Claim implements login.Store. Rows that another instance is claiming are skipped, not waited for.
func (s *Logins) Claim(ctx context.Context, now, retry time.Time, limit int) ([]login.Login, error) {
	rows, err := all[loginRow](ctx, s.pool, claimLogins,
		pgx.StrictNamedArgs{"now": now, "retry": retry, "limit": limit})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("claim pending logins: %w", err))
	}
	claimed := make([]login.Login, len(rows))
	for i, row := range rows {
		claimed[i] = row.login()
	}
	return claimed, nil
}

// ReplaceHash implements login.Store.
func (s *Logins) ReplaceHash(ctx context.Context, userID, old, hash string, now time.Time) error {
	_, err := s.pool.Exec(ctx, `
		update auth.logins set password_hash = @hash, update_time = @now where user_id = @user_id and password_hash = @old`,
		pgx.StrictNamedArgs{"user_id": userID, "old": old, "hash": hash, "now": now})
	if err != nil {
		return pg.Error(fmt.Errorf("replace password hash: %w", err))
	}
	return nil
}

// Remove implements login.Store. Everything that ends sessions locks login, session and revocation in this order.
func (s *Logins) Remove(ctx context.Context, userID string, revokedUntil time.Time) error {
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `select from auth.logins where user_id = @user_id for update`, pgx.StrictNamedArgs{"user_id": userID})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `
			with ended as (delete from auth.sessions where user_id = @user_id returning id)
			insert into auth.revocations (session_id, expire_time)
			select id, @until from ended
			on conflict (session_id) do nothing`,
			pgx.StrictNamedArgs{"user_id": userID, "until": revokedUntil})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `delete from auth.logins where user_id = @user_id`, pgx.StrictNamedArgs{"user_id": userID})
		return err
	})
	if err != nil {
		return fmt.Errorf("remove login: %w", err)
	}
	return nil
}
