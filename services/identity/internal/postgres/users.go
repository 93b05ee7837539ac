package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Users keeps users; it is a user.Store and a user.DeletionStore.
type Users struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewUsers returns the store over a pool and the outbox of the same database.
func NewUsers(pool *pgxpool.Pool, out *outbox.Outbox) *Users { return &Users{pool: pool, outbox: out} }

// createAttempts bounds how often Create looks again when the row it collided with is removed at the same moment.
const createAttempts = 3

// Create implements user.Store. The user's id is claimed first: whoever wins it also creates the personal organization, whose foreign
// key is checked at the commit.
func (s *Users) Create(ctx context.Context, c user.Creation) (stored user.User, token string, err error) {
	u := c.User
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		joins, err := lockJoined(ctx, tx, c)
		if err != nil {
			return err
		}
		for range createAttempts {
			won, err := insertUser(ctx, tx, u)
			if err != nil {
				return err
			}
			if won {
				stored = u
				token, err = s.settle(ctx, tx, c, joins)
				return err
			}
			stored, token, err = selectUserByID(ctx, tx, u.ID)
			if !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			if err := refuseTakenEmail(ctx, tx, u); err != nil {
				return err
			}
		}
		return reason.ConcurrentChange().Saying("the user is being deleted at this moment: repeat the request")
	})
	if pg.IsForeignKey(err, organizationFK) {
		return user.User{}, "", organization.NotFound()
	}
	if err != nil {
		return user.User{}, "", err
	}
	return stored, token, nil
}

// settle completes a creation whose user row is inserted: the personal organization and the facts.
// joins says that the user joins a personal one that was there before.
func (s *Users) settle(ctx context.Context, tx pgx.Tx, c user.Creation, joins bool) (token string, err error) {
	u := c.User
	if err := refuseDeleted(ctx, tx, u.ID, c.Refused); err != nil {
		return "", err
	}
	if joins {
		if err := refuseEnding(ctx, tx, u); err != nil {
			return "", err
		}
		if err := refuseFull(ctx, tx, c); err != nil {
			return "", err
		}
	}
	if err := insertPersonal(ctx, tx, c.Personal); err != nil {
		return "", err
	}
	if c.Personal != nil {
		if err := audit.Record(ctx, s.outbox, tx, c.Founded); err != nil {
			return "", err
		}
	}
	if token, err = tell(ctx, tx, s.outbox, c.Joined); err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `
		update identity.users set relationships_token = @token, invitation_due = @due, invitation = case when @due::timestamptz is null then 0 else 1 end
		where organization_id = @organization_id and id = @id`,
		pgx.StrictNamedArgs{"organization_id": u.OrganizationID, "id": u.ID, "token": token, "due": nullTime(c.InvitationDue)})
	if err == nil && u.State == user.Invited {
		err = tellInvitation(ctx, tx, u, c.InvitationDue)
	}
	return token, err
}

func insertUser(ctx context.Context, tx pgx.Tx, u user.User) (won bool, err error) {
	tag, err := tx.Exec(ctx, `
		insert into identity.users (organization_id, id, email, email_verified, display_name, locale, time_zone, state, standing, revision, create_time, update_time)
		values (@organization_id, @id, @email, @email_verified, @display_name, @locale, @time_zone, 'active', @state, @revision, @create_time, @update_time)
		on conflict do nothing`, // on the id or the primary key, whichever a parallel repeat fills first, or on the email
		pgx.StrictNamedArgs{
			"organization_id": u.OrganizationID, "id": u.ID, "email": u.Email, "email_verified": u.EmailVerified,
			"display_name": u.DisplayName, "locale": u.Locale, "time_zone": u.TimeZone, "state": u.State, "revision": u.Revision, "create_time": u.CreateTime, "update_time": u.UpdateTime,
		})
	return tag.RowsAffected() == 1, err
}

// refuseTakenEmail refuses the address of another user of the organization.
func refuseTakenEmail(ctx context.Context, tx pgx.Tx, u user.User) error {
	found, err := tx.Exec(ctx, `
		select from identity.users where organization_id = @organization_id and email = @email and state = 'active'`,
		pgx.StrictNamedArgs{"organization_id": u.OrganizationID, "email": u.Email})
	if err == nil && found.RowsAffected() > 0 {
		return user.EmailTaken()
	}
	return err
}

// refuseDeleted refuses the id of a user that was deleted since a time. It comes after the insert,
// which waits for a deletion of that user to end: before it, a deletion that is about to commit
// would not be seen.
func refuseDeleted(ctx context.Context, tx pgx.Tx, id string, since time.Time) error {
	found, err := tx.Exec(ctx, `select from identity.deleted_users where id = @id and delete_time >= @since`,
		pgx.StrictNamedArgs{"id": id, "since": since})
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
func selectUserByID(ctx context.Context, tx pgx.Tx, id string) (u user.User, token string, err error) {
	rows, err := tx.Query(ctx, `
		select `+userColumns+`, relationships_token from identity.users where id = @id`,
		pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return user.User{}, "", err
	}
	return collectUser(rows)
}

// userColumns are those of a user. The column state says whether the user is there ('active') or
// being deleted, standing what it is meanwhile: programs of before know the first alone.
const userColumns = `organization_id, id, email, display_name, locale, time_zone,
	case state when 'active' then standing else state end as state, revision, create_time, update_time, email_verified`

// Get implements user.Store.
func (s *Users) Get(ctx context.Context, scope user.Scope, id string) (user.User, error) {
	args := pgx.StrictNamedArgs{"id": id}
	rows, err := s.pool.Query(ctx, `
		select `+userColumns+` from identity.users where id = @id and state = 'active'`+within(scope, args), args)
	if err != nil {
		return user.User{}, pg.Error(err)
	}
	u, err := pgx.CollectExactlyOneRow(rows, scanUser)
	return u, userError(err)
}

// Update implements user.Store.
func (s *Users) Update(
	ctx context.Context, scope user.Scope, id string, change func(user.User) (user.User, event.Event, error),
) (user.User, error) {
	var next user.User
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		current, _, err := lockUser(ctx, tx, scope, id)
		if err != nil {
			return err
		}
		if !current.State.There() {
			return user.NotFound()
		}
		var e event.Event
		if next, e, err = change(current); err != nil || next.Revision == current.Revision {
			return err
		}
		_, err = tx.Exec(ctx, `
			update identity.users
			set display_name = @display_name, locale = @locale, time_zone = @time_zone, revision = @revision, update_time = @update_time
			where organization_id = @organization_id and id = @id`,
			pgx.StrictNamedArgs{
				"organization_id": current.OrganizationID, "id": id, "display_name": next.DisplayName, "locale": next.Locale,
				"time_zone": next.TimeZone, "revision": next.Revision, "update_time": next.UpdateTime,
			})
		if err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return user.User{}, err
	}
	return next, nil
}

// lockUser reads a user in any state, with the token of its relationships, and keeps others from changing it until the transaction ends.
func lockUser(ctx context.Context, tx pgx.Tx, scope user.Scope, id string) (u user.User, token string, err error) {
	args := pgx.StrictNamedArgs{"id": id}
	rows, err := tx.Query(ctx, `
		select `+userColumns+`, relationships_token from identity.users where id = @id`+within(scope, args)+` for update`, args)
	if err != nil {
		return user.User{}, "", err
	}
	u, token, err = collectUser(rows)
	return u, token, userError(err)
}

// collectUser reads one user and the token of its relationships.
func collectUser(rows pgx.Rows) (u user.User, token string, err error) {
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
		user.User
		RelationshipsToken string
	}])
	return inUTC(row.User), row.RelationshipsToken, err
}

func scanUser(row pgx.CollectableRow) (user.User, error) {
	u, err := pgx.RowToStructByName[user.User](row)
	return inUTC(u), err
}

func inUTC(u user.User) user.User {
	u.CreateTime, u.UpdateTime = u.CreateTime.UTC(), u.UpdateTime.UTC()
	return u
}

func userError(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return user.NotFound()
	}
	return pg.Error(err)
}
