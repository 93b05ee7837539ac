package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// usersEmailKey is the address of a user who is there, in one organization.
const usersEmailKey = "users_email_key"

const setEmail = `
	update identity.users
	set email = @email, email_verified = @email_verified, email_revision = @email_revision, revision = revision + 1,
	    update_time = greatest(@now, update_time + interval '1 microsecond')
	where organization_id = @organization_id and id = @id and email_revision < @email_revision`

// SetEmail implements user.Store.
func (s *Users) SetEmail(ctx context.Context, e user.Email, now time.Time, by event.Event) error {
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		u, _, err := lockUser(ctx, tx, user.Everywhere(), e.UserID)
		if err != nil {
			return err
		}
		if !u.State.There() {
			return user.NotFound()
		}
		tag, err := tx.Exec(ctx, setEmail, pgx.StrictNamedArgs{
			"email": e.Address, "email_verified": e.Verified, "email_revision": e.Revision, "now": now, "organization_id": u.OrganizationID, "id": u.ID,
		})
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, user.Updated(by, u))
	})
	if pg.IsUnique(err, usersEmailKey) {
		return user.EmailTaken()
	}
	return err
}
