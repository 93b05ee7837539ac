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

const openStanding = `
	insert into identity.standings (user_id, suspended, revision, invitation, due) values (@user_id, @suspended, @revision, @invitation, @due)
	on conflict (user_id) do update
	set suspended = excluded.suspended, revision = excluded.revision, invitation = excluded.invitation, due = excluded.due
	returning user_id, suspended, revision, invitation`

// againStanding is what is to be told since before, which its caller tells now.
const againStanding = `update identity.standings set due = @due where user_id = @user_id returning user_id, suspended, revision, invitation`

// SetStanding implements user.StandingStore.
func (s *Users) SetStanding(
	ctx context.Context, scope user.Scope, id string, due time.Time, decide func(u user.User, alone bool) (user.User, event.Event, error),
) (u user.User, told user.Standing, open bool, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		current, _, err := lockUser(ctx, tx, scope, id)
		if err != nil {
			return err
		}
		alone, err := aloneInPersonal(ctx, tx, current, "")
		if err != nil {
			return err
		}
		var e event.Event
		if u, e, err = decide(current, alone); err != nil {
			return err
		}
		if u.Revision == current.Revision {
			told, open, err = oneStanding(ctx, tx, againStanding, pgx.StrictNamedArgs{"user_id": id, "due": due})
			return err
		}
		if err := storeStanding(ctx, tx, u); err != nil {
			return err
		}
		told, open, err = oneStanding(ctx, tx, openStanding, pgx.StrictNamedArgs{
			"user_id": id, "suspended": u.State == user.Suspended, "revision": u.Revision, "invitation": false, "due": due,
		})
		if err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return user.User{}, user.Standing{}, false, err
	}
	return u, told, open, nil
}

// tellInvitation notes that Authz is to be told of an invited user, or that the user has accepted.
func tellInvitation(ctx context.Context, tx pgx.Tx, u user.User, due time.Time) error {
	_, err := tx.Exec(ctx, openStanding, pgx.StrictNamedArgs{
		"user_id": u.ID, "suspended": u.State == user.Invited, "revision": u.Revision, "invitation": true, "due": due,
	})
	return err
}

func storeStanding(ctx context.Context, tx pgx.Tx, u user.User) error {
	_, err := tx.Exec(ctx, `
		update identity.users set standing = @standing, revision = @revision, update_time = @update_time
		where organization_id = @organization_id and id = @id`,
		pgx.StrictNamedArgs{
			"organization_id": u.OrganizationID, "id": u.ID, "standing": u.State, "revision": u.Revision, "update_time": u.UpdateTime,
		})
	return err
}

// claimStanding takes the lock of one due row that nobody else is claiming.
const claimStanding = `
	update identity.standings set due = @until
	where user_id = (
		select user_id from identity.standings
		where due <= @now
		order by due limit 1
		for update skip locked
	)
	returning user_id, suspended, revision, invitation`

// ClaimStanding implements user.StandingStore.
func (s *Users) ClaimStanding(ctx context.Context, now, until time.Time) (user.Standing, bool, error) {
	told, found, err := oneStanding(ctx, s.pool, claimStanding, pgx.StrictNamedArgs{"now": now, "until": until})
	return told, found, pg.Error(err)
}

// FinishStanding implements user.StandingStore.
func (s *Users) FinishStanding(ctx context.Context, told user.Standing) error {
	_, err := s.pool.Exec(ctx, `delete from identity.standings where user_id = @user_id and revision = @revision`,
		pgx.StrictNamedArgs{"user_id": told.UserID, "revision": told.Revision})
	return pg.Error(err)
}

// oneStanding reads at most one standing.
func oneStanding(ctx context.Context, db querier, sql string, args pgx.StrictNamedArgs) (told user.Standing, found bool, err error) {
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return user.Standing{}, false, err
	}
	told, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[user.Standing])
	if errors.Is(err, pgx.ErrNoRows) {
		return user.Standing{}, false, nil
	}
	return told, err == nil, err
}
