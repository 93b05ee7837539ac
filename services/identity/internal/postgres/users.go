package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/identity/internal/listing"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Users keeps users; it is a user.Store and a user.DeletionStore.
type Users struct {
	pool *pgxpool.Pool
}

// NewUsers returns the store over a pool.
func NewUsers(pool *pgxpool.Pool) *Users { return &Users{pool: pool} }

// createAttempts bounds how often Create looks again when the row it collided with is removed at the same moment.
const createAttempts = 3

// Create implements user.Store. The user's id is claimed first: whoever wins it also creates the personal organization, whose foreign
// key is checked at the commit.
func (s *Users) Create(ctx context.Context, u user.User, personal *organization.Organization) (user.User, error) {
	var stored user.User
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		for range createAttempts {
			won, err := insertUser(ctx, tx, u)
			if err != nil {
				return err
			}
			if won {
				stored = u
				if err := refuseDeleted(ctx, tx, u.ID); err != nil {
					return err
				}
				return insertPersonal(ctx, tx, personal)
			}
			stored, err = selectUserByID(ctx, tx, u.ID)
			if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
		}
		return apierr.New(apierr.Unavailable, "CONCURRENT_CHANGE", "the user is being deleted at this moment: repeat the request")
	})
	if pg.IsForeignKey(err, organizationFK) {
		return user.User{}, organization.NotFound()
	}
	if err != nil {
		return user.User{}, err
	}
	return stored, nil
}

func insertUser(ctx context.Context, tx pgx.Tx, u user.User) (won bool, err error) {
	tag, err := tx.Exec(ctx, `
		insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time)
		values (@organization_id, @id, @email, @display_name, @locale, @time_zone, @state, @revision, @create_time, @update_time)
		on conflict do nothing`, // on the id or the primary key, whichever a parallel repeat fills first
		pgx.StrictNamedArgs{
			"organization_id": u.OrganizationID, "id": u.ID, "email": u.Email, "display_name": u.DisplayName, "locale": u.Locale,
			"time_zone": u.TimeZone, "state": u.State, "revision": u.Revision, "create_time": u.CreateTime, "update_time": u.UpdateTime,
		})
	return tag.RowsAffected() == 1, err
}

// refuseDeleted refuses the id of a user that was deleted lately. It comes after the insert, which waits for a deletion of that user to
// end: before it, a deletion that is about to commit would not be seen.
func refuseDeleted(ctx context.Context, tx pgx.Tx, id string) error {
	found, err := tx.Exec(ctx, `select from identity.deleted_users where id = @id`, pgx.StrictNamedArgs{"id": id})
	if err == nil && found.RowsAffected() > 0 {
		return user.IDTaken()
	}
	return err
}

func insertPersonal(ctx context.Context, tx pgx.Tx, o *organization.Organization) error {
	if o == nil {
		return nil
	}
	won, err := insertOrganization(ctx, tx, *o)
	if err == nil && !won { // never join the organization of somebody else
		return fmt.Errorf("create the personal organization: the id %s is in use", o.ID)
	}
	return err
}

// selectUserByID looks across organizations: the id that a creating program chose is unique among all.
func selectUserByID(ctx context.Context, tx pgx.Tx, id string) (user.User, error) {
	rows, err := tx.Query(ctx, `
		select organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time
		from identity.users where id = @id`,
		pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return user.User{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanUser)
}

// Get implements user.Store.
func (s *Users) Get(ctx context.Context, organizationID, id string) (user.User, error) {
	rows, err := s.pool.Query(ctx, `
		select organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time
		from identity.users where organization_id = @organization_id and id = @id and state = 'active'`,
		pgx.StrictNamedArgs{"organization_id": organizationID, "id": id})
	if err != nil {
		return user.User{}, pg.Error(err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, scanUser)
	return u, userError(err)
}

// List implements user.Store.
func (s *Users) List(ctx context.Context, organizationID string, q listing.Query) ([]user.User, error) {
	sql, args, err := listUsers(organizationID, q)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, pg.Error(err)
	}
	users, err := pgx.CollectRows(rows, scanUser)
	return users, pg.Error(err)
}

func listUsers(organizationID string, q listing.Query) (string, pgx.StrictNamedArgs, error) {
	var sql strings.Builder
	sql.WriteString(`
		select organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time
		from identity.users where organization_id = @organization_id and state = 'active'`)
	args := pgx.StrictNamedArgs{"organization_id": organizationID}
	err := addConditions(&sql, args, []string{"email", "display_name", "create_time"}, q)
	return sql.String(), args, err
}

// Update implements user.Store.
func (s *Users) Update(
	ctx context.Context, organizationID, id string, change func(user.User) (user.User, error),
) (user.User, error) {
	var next user.User
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		current, err := lockUser(ctx, tx, organizationID, id)
		if err != nil {
			return err
		}
		if current.State != user.Active {
			return user.NotFound()
		}
		if next, err = change(current); err != nil || next.Revision == current.Revision {
			return err
		}
		_, err = tx.Exec(ctx, `
			update identity.users
			set display_name = @display_name, locale = @locale, time_zone = @time_zone, revision = @revision, update_time = @update_time
			where organization_id = @organization_id and id = @id`,
			pgx.StrictNamedArgs{
				"organization_id": organizationID, "id": id, "display_name": next.DisplayName, "locale": next.Locale,
				"time_zone": next.TimeZone, "revision": next.Revision, "update_time": next.UpdateTime,
			})
		return err
	})
	if err != nil {
		return user.User{}, err
	}
	return next, nil
}

// lockUser reads a user in any state and keeps others from changing it until the transaction ends.
func lockUser(ctx context.Context, tx pgx.Tx, organizationID, id string) (user.User, error) {
	rows, err := tx.Query(ctx, `
		select organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time
		from identity.users where organization_id = @organization_id and id = @id for update`,
		pgx.StrictNamedArgs{"organization_id": organizationID, "id": id})
	if err != nil {
		return user.User{}, err
	}
	u, err := pgx.CollectExactlyOneRow(rows, scanUser)
	return u, userError(err)
}

func scanUser(row pgx.CollectableRow) (user.User, error) {
	u, err := pgx.RowToStructByName[user.User](row)
	u.CreateTime, u.UpdateTime = u.CreateTime.UTC(), u.UpdateTime.UTC()
	return u, err
}

func userError(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return user.NotFound()
	}
	return pg.Error(err)
}
