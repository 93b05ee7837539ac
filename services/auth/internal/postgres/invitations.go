package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// keepInvitation waits for whoever uses the older code up at the same moment.
const keepInvitation = `
	insert into auth.mailed_codes as c (code_hash, purpose, user_id, email, display_name, create_time, expire_time, revision)
	values (@code_hash, @purpose, @user_id, @email, @display_name, @create_time, @expire_time, @revision)
	on conflict (user_id, purpose) where purpose <> 'reset' do update
	set code_hash = excluded.code_hash, email = excluded.email, display_name = excluded.display_name, create_time = excluded.create_time,
	    expire_time = excluded.expire_time, revision = excluded.revision
	where c.revision < excluded.revision`

// errNothing ends a transaction in which nothing is to change.
var errNothing = errors.New("nothing to change")

// Invite implements login.InvitationStore. The look for a login comes after the code is stored: an
// acceptance that was waited for has made one.
func (s *Logins) Invite(ctx context.Context, p proof.Pending, revision int64, m *mail.Queued, e event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		kept, err := tx.Exec(ctx, keepInvitation, pgx.StrictNamedArgs{
			"code_hash": p.Hash[:], "purpose": string(p.Purpose), "user_id": p.UserID, "email": p.Email, "display_name": p.DisplayName,
			"create_time": p.CreateTime, "expire_time": p.ExpireTime, "revision": revision,
		})
		if err != nil {
			return err
		}
		has, err := tx.Exec(ctx, `select from auth.logins where user_id = @user_id`, pgx.StrictNamedArgs{"user_id": p.UserID})
		if err != nil {
			return err
		}
		if kept.RowsAffected() == 0 || has.RowsAffected() > 0 {
			return errNothing
		}
		queued, err := s.mails.queue(ctx, tx, m)
		if err != nil {
			return err
		}
		if !queued { // the code of the mail before stays good, since nobody learns the new one
			return mail.ErrLimited
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	switch {
	case errors.Is(err, errNothing):
		return nil
	case err == nil, errors.Is(err, mail.ErrLimited):
		return err
	}
	return fmt.Errorf("keep invitation: %w", err)
}
