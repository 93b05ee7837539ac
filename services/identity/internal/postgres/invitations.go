package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

const invitationColumns = `organization_id, id as user_id, email, display_name, locale, invitation as revision`

// Renew implements user.InvitationStore.
func (s *Users) Renew(
	ctx context.Context, scope user.Scope, id string, due time.Time, e func(user.User) event.Event,
) (u user.User, i user.Invitation, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if u, _, err = lockUser(ctx, tx, scope, id); err != nil {
			return err
		}
		switch u.State {
		case user.Invited:
		case user.Deleting:
			return user.NotFound()
		default:
			return user.NotInvited()
		}
		rows, err := tx.Query(ctx, `
			update identity.users set invitation = invitation + 1, invitation_due = @due
			where organization_id = @organization_id and id = @id returning `+invitationColumns,
			pgx.StrictNamedArgs{"organization_id": u.OrganizationID, "id": id, "due": due})
		if err != nil {
			return err
		}
		if i, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[user.Invitation]); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e(u))
	})
	return u, i, err
}

// claimInvitation takes the lock of one due row that nobody else is claiming.
const claimInvitation = `
	update identity.users set invitation_due = @until
	where id = (
		select id from identity.users
		where invitation_due <= @now and state = 'active' and standing = 'invited'
		order by invitation_due limit 1
		for update skip locked
	)
	returning ` + invitationColumns

// ClaimInvitation implements user.InvitationStore.
func (s *Users) ClaimInvitation(ctx context.Context, now, until time.Time) (user.Invitation, bool, error) {
	rows, err := s.pool.Query(ctx, claimInvitation, pgx.StrictNamedArgs{"now": now, "until": until})
	if err != nil {
		return user.Invitation{}, false, pg.Error(err)
	}
	i, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[user.Invitation])
	if errors.Is(err, pgx.ErrNoRows) {
		return user.Invitation{}, false, nil
	}
	return i, err == nil, pg.Error(err)
}

// Invited implements user.InvitationStore.
func (s *Users) Invited(ctx context.Context, i user.Invitation) error {
	_, err := s.pool.Exec(ctx, `
		update identity.users set invitation_due = null where organization_id = @organization_id and id = @id and invitation = @revision`,
		pgx.StrictNamedArgs{"organization_id": i.OrganizationID, "id": i.UserID, "revision": i.Revision})
	return pg.Error(err)
}

// Activate implements user.InvitationStore.
func (s *Users) Activate(ctx context.Context, id string, now time.Time, e func(user.User) event.Event) (u user.User, token string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if u, token, err = lockUser(ctx, tx, user.Everywhere(), id); err != nil {
			return err
		}
		switch u.State {
		case user.Invited:
		case user.Deleting:
			return user.NotFound()
		default:
			return nil
		}
		u = u.Accepted(now)
		_, err := tx.Exec(ctx, `
			update identity.users set standing = 'active', email_verified = true, invitation_due = null, revision = @revision, update_time = @update_time
			where organization_id = @organization_id and id = @id`,
			pgx.StrictNamedArgs{"organization_id": u.OrganizationID, "id": id, "revision": u.Revision, "update_time": u.UpdateTime})
		if err != nil {
			return err
		}
		if err := tellInvitation(ctx, tx, u, now); err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e(u))
	})
	if err != nil {
		return user.User{}, "", err
	}
	return u, token, nil
}

// nullTime is null for the zero time.
func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
