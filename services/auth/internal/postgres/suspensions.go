package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// setStanding changes a login unless a later revision has. One that is pending remembers it for its
// activation (activateLogin).
const setStanding = `
	update auth.logins
	set suspended = @suspended, standing_revision = @revision,
	    state = case when state = 'pending' then state when @suspended then 'suspended' else 'active' end
	where user_id = @user_id and standing_revision < @revision`

// SetStanding implements login.Store. The lock on the login makes every session that begins wait,
// or this for it.
func (s *Logins) SetStanding(ctx context.Context, n login.Standing, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		of := pgx.StrictNamedArgs{"user_id": n.UserID}
		if _, err := tx.Exec(ctx, lockLogin, of); err != nil {
			return err
		}
		set, err := tx.Exec(ctx, setStanding, pgx.StrictNamedArgs{"user_id": n.UserID, "suspended": n.Suspended, "revision": n.Revision})
		if err != nil {
			return err
		}
		changed := set.RowsAffected() > 0
		if changed {
			if err := s.mails.Queue(ctx, tx, n.Notice); err != nil {
				return err
			}
		}
		if n.Suspended {
			if err := forgetMailedCodes(ctx, tx, n.UserID); err != nil {
				return err
			}
		}
		if !changed {
			return nil
		}
		if n.Suspended {
			if err := cancelEmailChange(ctx, tx, n.UserID, n.Time); err != nil {
				return err
			}
			if err := endAll(ctx, tx, n); err != nil {
				return err
			}
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return fmt.Errorf("set the standing of a login: %w", err)
	}
	return nil
}

// endAll ends and revokes every session of a user whose login is locked.
func endAll(ctx context.Context, tx pgx.Tx, n login.Standing) error {
	of := pgx.StrictNamedArgs{"user_id": n.UserID}
	if _, err := tx.Exec(ctx, lockBrowsers, of); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
		with ended as (delete from auth.sessions where user_id = @user_id returning id)
		insert into auth.revocations (session_id, expire_time)
		select id, @until from ended
		on conflict (session_id) do nothing`, pgx.StrictNamedArgs{"user_id": n.UserID, "until": n.RevokedUntil})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `delete from auth.browser_sessions where user_id = @user_id`, of)
	return err
}
