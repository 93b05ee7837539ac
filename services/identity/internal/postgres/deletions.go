package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Leaving implements user.DeletionStore.
func (s *Users) Leaving(ctx context.Context, scope user.Scope, id string) (u user.User, ends bool, err error) {
	args := pgx.StrictNamedArgs{"id": id}
	rows, err := s.pool.Query(ctx, `
		select `+userColumns+` from identity.users where id = @id`+within(scope, args), args)
	if err != nil {
		return user.User{}, false, pg.Error(err)
	}
	if u, err = pgx.CollectExactlyOneRow(rows, scanUser); err != nil {
		return user.User{}, false, userError(err)
	}
	ends, err = aloneInPersonal(ctx, s.pool, u, "")
	return u, ends, pg.Error(err)
}

// BeginDelete implements user.DeletionStore.
func (s *Users) BeginDelete(
	ctx context.Context, scope user.Scope, id string, due time.Time, decide func(u user.User, ends bool) (fact.Fact, error),
) (d user.Deletion, token string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		var current user.User
		if current, token, err = lockUser(ctx, tx, scope, id); err != nil {
			return err
		}
		ends := false
		if current.State.There() {
			if ends, err = aloneInPersonal(ctx, tx, current, "for update"); err != nil {
				return err
			}
		}
		f, err := decide(current, ends)
		if err != nil {
			return err
		}
		d = user.Deletion{OrganizationID: current.OrganizationID, UserID: id}
		if current.State.There() {
			if token, err = tell(ctx, tx, s.outbox, f); err != nil {
				return err
			}
			if _, err = tx.Exec(ctx, `delete from identity.standings where user_id = @id`, pgx.StrictNamedArgs{"id": id}); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			update identity.users set state = 'deleting', deletion_due = @due, relationships_token = @token
			where organization_id = @organization_id and id = @id`,
			pgx.StrictNamedArgs{"organization_id": d.OrganizationID, "id": id, "due": due, "token": token})
		return err
	})
	if err != nil {
		return user.Deletion{}, "", err
	}
	return d, token, nil
}

// aloneInPersonal reports whether the user's organization is personal and has no other user.
// A deletion locks it "for update", which keeps others from joining until the deletion is there to
// be seen.
func aloneInPersonal(ctx context.Context, db execer, u user.User, lock string) (bool, error) {
	personal, err := lockPersonal(ctx, db, u.OrganizationID, lock)
	if err != nil || !personal {
		return false, err
	}
	return alone(ctx, db, u)
}

// lockPersonal locks an organization if it is personal, and says whether it is.
func lockPersonal(ctx context.Context, db execer, organizationID, lock string) (personal bool, err error) {
	found, err := db.Exec(ctx, `select from identity.organizations where id = @organization_id and personal `+lock,
		pgx.StrictNamedArgs{"organization_id": organizationID})
	return err == nil && found.RowsAffected() > 0, err
}

// alone reports whether the organization has no other active user.
func alone(ctx context.Context, db execer, u user.User) (bool, error) {
	others, err := db.Exec(ctx, `
		select from identity.users where organization_id = @organization_id and id <> @id and state = 'active' limit 1`,
		pgx.StrictNamedArgs{"organization_id": u.OrganizationID, "id": u.ID})
	return err == nil && others.RowsAffected() == 0, err
}

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// claimDeletion takes the lock of one due row that nobody else is claiming.
const claimDeletion = `
	update identity.users set deletion_due = @until
	where id = (
		select id from identity.users
		where state = 'deleting' and deletion_due <= @now
		order by deletion_due limit 1
		for update skip locked
	)
	returning organization_id, id as user_id`

// ClaimDeletion implements user.DeletionStore.
func (s *Users) ClaimDeletion(ctx context.Context, now, until time.Time) (user.Deletion, bool, error) {
	rows, err := s.pool.Query(ctx, claimDeletion, pgx.StrictNamedArgs{"now": now, "until": until})
	if err != nil {
		return user.Deletion{}, false, pg.Error(err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[user.Deletion])
	if errors.Is(err, pgx.ErrNoRows) {
		return user.Deletion{}, false, nil
	}
	return d, err == nil, pg.Error(err)
}

// FinishDelete implements user.DeletionStore. The lock on a personal organization keeps a user from joining it between the look for
// others and its removal.
func (s *Users) FinishDelete(ctx context.Context, d user.Deletion, now time.Time, ended fact.Fact) error {
	args := pgx.StrictNamedArgs{"organization_id": d.OrganizationID}
	return s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		lock, err := tx.Exec(ctx, `
			select from identity.organizations where id = @organization_id and personal for update`, args)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			with gone as (
				delete from identity.users where organization_id = @organization_id and id = @id and state = 'deleting' returning id
			)
			insert into identity.deleted_users (id, delete_time) select id, @now from gone
			on conflict (id) do update set delete_time = excluded.delete_time`, // a trigger adds the rest
			pgx.StrictNamedArgs{"organization_id": d.OrganizationID, "id": d.UserID, "now": now})
		if err != nil || lock.RowsAffected() == 0 {
			return err
		}
		removed, err := tx.Exec(ctx, `
			delete from identity.organizations
			where id = @organization_id and not exists (select from identity.users where organization_id = @organization_id)`, args)
		if err != nil || removed.RowsAffected() == 0 {
			return err
		}
		_, err = tell(ctx, tx, s.outbox, ended)
		return err
	})
}

const forgetDeleted = `
	delete from identity.deleted_users where id in (
		select id from identity.deleted_users where delete_time < @before
		order by delete_time limit @row_limit
		for update skip locked
	)`

// ForgetDeleted implements user.DeletionStore. Rows that another instance is removing are left to it.
func (s *Users) ForgetDeleted(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, forgetDeleted, pgx.StrictNamedArgs{"before": before, "row_limit": limit})
	return int(tag.RowsAffected()), pg.Error(err)
}
