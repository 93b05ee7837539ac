package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

const exchangeHash = `
	update auth.logins set password_hash = @hash, language = coalesce(nullif(@language, ''), language), update_time = @now
	where user_id = @user_id and password_hash = @old and state = 'active'`

// ChangePassword implements login.Store. The lock on the login makes every session that begins
// wait, or this change for it.
func (s *Logins) ChangePassword(ctx context.Context, n login.NewHash, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		of := pgx.StrictNamedArgs{"user_id": n.UserID}
		if _, err := tx.Exec(ctx, lockLogin, of); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, exchangeHash, pgx.StrictNamedArgs{"user_id": n.UserID, "old": n.Old, "hash": n.Hash, "language": n.Language, "now": n.Time})
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return login.ErrNotFound
		}
		if _, err := tx.Exec(ctx, lockBrowsers, of); err != nil {
			return err
		}
		others := pgx.StrictNamedArgs{"user_id": n.UserID, "keep": n.Keep, "expire_time": n.RevokedUntil}
		if _, err := tx.Exec(ctx, endOthers+" select id from changed", others); err != nil {
			return err
		}
		if err := s.mails.Queue(ctx, tx, n.Notice); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil && !errors.Is(err, login.ErrNotFound) {
		return fmt.Errorf("change password: %w", err)
	}
	return err
}
