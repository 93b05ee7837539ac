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
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := takeMailedCode(ctx, tx, code, now, proof.SignUp); err != nil {
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
