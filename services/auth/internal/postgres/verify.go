package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// ReserveProven implements login.Store.
func (s *Logins) ReserveProven(ctx context.Context, code proof.Hash, l login.Login, by event.Event, now, retry time.Time) error {
	purpose := proof.SignUp
	if l.Invited {
		purpose = proof.Invitation
	}
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := takeMailedCode(ctx, tx, code, now, purpose); err != nil {
			return err
		}
		reserved, err := insertPending(ctx, tx, l, by, now, retry)
		if err == nil && !reserved {
			return login.ErrTaken
		}
		return err
	})
	if err != nil && !errors.Is(err, proof.ErrNotFound) && !errors.Is(err, login.ErrTaken) {
		return fmt.Errorf("reserve login of a proven address: %w", err)
	}
	return err
}

const verifyEmail = `
	update auth.logins set email_verified = true, email_revision = email_revision + 1, email_attempt_time = @now, update_time = @now
	where user_id = @user_id and email = @email and password_hash = @password_hash and state = 'active'`

// VerifyEmail implements login.Store.
func (s *Logins) VerifyEmail(ctx context.Context, code proof.Hash, l login.Login, now time.Time, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockLogin, pgx.StrictNamedArgs{"user_id": l.UserID}); err != nil {
			return err
		}
		p, err := takeMailedCode(ctx, tx, code, now, proof.Verify)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, verifyEmail, pgx.StrictNamedArgs{
			"user_id": p.UserID, "email": p.Email, "password_hash": l.PasswordHash, "now": now,
		})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return login.ErrNotFound
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil && !errors.Is(err, proof.ErrNotFound) && !errors.Is(err, login.ErrNotFound) {
		return fmt.Errorf("verify address: %w", err)
	}
	return err
}

// claimEmails leaves alone whoever is about to get another address: Identity has that, of the same
// revision, and is told what the login has when that is settled.
const claimEmails = `
	update auth.logins set email_attempt_time = @retry
	where user_id in (
	    select user_id from auth.logins
	    where state <> 'pending' and new_email is null and email_attempt_time <= @now
	    order by email_attempt_time limit @limit for update skip locked)
	returning user_id::text, email as address, email_verified as verified, email_revision as revision`

// ClaimEmails implements login.Store.
func (s *Logins) ClaimEmails(ctx context.Context, now, retry time.Time, limit int) ([]login.Email, error) {
	claimed, err := all[login.Email](ctx, s.pool, claimEmails, pgx.StrictNamedArgs{"now": now, "retry": retry, "limit": limit})
	if err != nil {
		return nil, pg.Error(fmt.Errorf("claim addresses: %w", err))
	}
	return claimed, nil
}

const emailTold = `
	update auth.logins set email_attempt_time = null where user_id = @user_id and email_revision = @revision`

// EmailTold implements login.Store.
func (s *Logins) EmailTold(ctx context.Context, e login.Email) error {
	if _, err := s.pool.Exec(ctx, emailTold, pgx.StrictNamedArgs{"user_id": e.UserID, "revision": e.Revision}); err != nil {
		return pg.Error(fmt.Errorf("note that an address is told: %w", err))
	}
	return nil
}
