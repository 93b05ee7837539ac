package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// Resets implements reset.Store.
type Resets struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	mails  *Mails
}

// NewResets returns the store of resets.
func NewResets(pool *pgxpool.Pool, o *outbox.Outbox, m *Mails) *Resets {
	return &Resets{pool: pool, outbox: o, mails: m}
}

// replaceHash replaces a hash, whatever it was. Identity is told of an address that is proven now.
const replaceHash = `
	update auth.logins
	set password_hash = @hash, email_verified = true, language = coalesce(nullif(@language, ''), language), update_time = @now,
	    email_revision = email_revision + case when email_verified then 0 else 1 end,
	    email_attempt_time = case when email_verified then email_attempt_time else @now end,
	    second_factor = second_factor and email_verified,
	    factor_revision = factor_revision + case when second_factor and not email_verified then 1 else 0 end
	where user_id = @user_id and email = @email and state = 'active' and email_verified = @verified and factor_revision = @factor`

// What whoever registered an address without proving it has left behind; recovery codes go with the
// authenticator.
const (
	dropFactor  = `delete from auth.totp where user_id = @user_id`
	dropDevices = `delete from auth.known_devices where user_id = @user_id`
)

// Reset implements reset.Store.
func (s *Resets) Reset(ctx context.Context, n reset.NewPassword, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockLogin, pgx.StrictNamedArgs{"user_id": n.UserID}); err != nil {
			return err
		}
		if err := s.mails.Queue(ctx, tx, n.Notice); err != nil {
			return err
		}
		p, err := takeMailedCode(ctx, tx, n.Code, n.Time, proof.Reset)
		if err == nil && p.UserID != n.UserID {
			err = proof.ErrNotFound
		}
		if err != nil {
			return err
		}
		if err := forgetMailedCodes(ctx, tx, n.UserID); err != nil {
			return err
		}
		if err := s.replace(ctx, tx, n); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil && !errors.Is(err, login.ErrNotFound) && !errors.Is(err, proof.ErrNotFound) {
		return fmt.Errorf("reset password: %w", err)
	}
	return err
}

// replace replaces the hash of a login that is locked and ends all sessions. Whatever begins a
// session waits for that lock, or this for it.
func (s *Resets) replace(ctx context.Context, tx pgx.Tx, n reset.NewPassword) error {
	of := pgx.StrictNamedArgs{"user_id": n.UserID}
	tag, err := tx.Exec(ctx, replaceHash, pgx.StrictNamedArgs{
		"user_id": n.UserID, "email": n.Email, "hash": n.Hash, "language": n.Language, "verified": n.Verified, "factor": n.Factor, "now": n.Time,
	})
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return login.ErrNotFound
	}
	if err := cancelEmailChange(ctx, tx, n.UserID, n.Time); err != nil {
		return err
	}
	if !n.Verified {
		for _, sql := range []string{dropFactor, dropDevices} {
			if _, err := tx.Exec(ctx, sql, of); err != nil {
				return err
			}
		}
	}
	if _, err := tx.Exec(ctx, lockBrowsers, of); err != nil {
		return err
	}
	all := pgx.StrictNamedArgs{"user_id": n.UserID, "keep": "", "expire_time": n.RevokedUntil}
	_, err = tx.Exec(ctx, endOthers+" select id from changed", all)
	return err
}
