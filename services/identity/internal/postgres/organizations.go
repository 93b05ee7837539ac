package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
)

// Organizations keeps organizations; it is an organization.Store.
type Organizations struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
}

// NewOrganizations returns the store over a pool and the outbox of the same database.
func NewOrganizations(pool *pgxpool.Pool, out *outbox.Outbox) *Organizations {
	return &Organizations{pool: pool, outbox: out}
}

// Create implements organization.Store.
func (s *Organizations) Create(ctx context.Context, o organization.Organization, f fact.Fact) (stored organization.Organization, token string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		for range createAttempts {
			won, err := insertOrganization(ctx, tx, o)
			if err != nil {
				return err
			}
			if won {
				stored = o
				token, err = tell(ctx, tx, s.outbox, f)
				return err
			}
			stored, err = selectOrganization(ctx, tx, o.ID, lockNone)
			if !errors.Is(err, organization.NotFound()) {
				return err
			}
		}
		return reason.ConcurrentChange().Saying("the organization is being deleted at this moment: repeat the request")
	})
	return stored, token, err
}

func insertOrganization(ctx context.Context, tx pgx.Tx, o organization.Organization) (won bool, err error) {
	tag, err := tx.Exec(ctx, `
		insert into identity.organizations (id, display_name, personal, revision, create_time, update_time)
		values (@id, @display_name, @personal, @revision, @create_time, @update_time)
		on conflict (id) do nothing`,
		pgx.StrictNamedArgs{
			"id": o.ID, "display_name": o.DisplayName, "personal": o.Personal, "revision": o.Revision,
			"create_time": o.CreateTime, "update_time": o.UpdateTime,
		})
	return tag.RowsAffected() == 1, err
}

// Get implements organization.Store.
func (s *Organizations) Get(ctx context.Context, id string) (organization.Organization, error) {
	o, err := selectOrganization(ctx, s.pool, id, lockNone)
	return o, pg.Error(err)
}

// Locks that keep others from changing the row until the transaction ends; lockRemoval also keeps users from joining.
const (
	lockNone    = ""
	lockChange  = " for no key update"
	lockRemoval = " for update"
)

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// selectOrganization reads one organization under a lock.
func selectOrganization(ctx context.Context, db querier, id, lock string) (organization.Organization, error) {
	rows, err := db.Query(ctx, `
		select id, display_name, personal, revision, create_time, update_time
		from identity.organizations where id = @id`+lock,
		pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return organization.Organization{}, err
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOrganization)
	if errors.Is(err, pgx.ErrNoRows) {
		return organization.Organization{}, organization.NotFound()
	}
	return o, err
}

// List implements organization.Store.
func (s *Organizations) List(ctx context.Context, q resource.Query) ([]organization.Organization, error) {
	sql, args, err := listOrganizations(q)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, pg.Error(err)
	}
	organizations, err := pgx.CollectRows(rows, scanOrganization)
	return organizations, pg.Error(err)
}

func listOrganizations(q resource.Query) (string, pgx.StrictNamedArgs, error) {
	var sql strings.Builder
	sql.WriteString(`
		select id, display_name, personal, revision, create_time, update_time
		from identity.organizations where true`)
	args := pgx.StrictNamedArgs{}
	err := addConditions(&sql, args, []string{"display_name", "create_time"}, q)
	return sql.String(), args, err
}

// Update implements organization.Store.
func (s *Organizations) Update(
	ctx context.Context, id string, change func(organization.Organization) (organization.Organization, event.Event, error),
) (organization.Organization, error) {
	var next organization.Organization
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		current, err := selectOrganization(ctx, tx, id, lockChange)
		if err != nil {
			return err
		}
		var e event.Event
		if next, e, err = change(current); err != nil || next.Revision == current.Revision {
			return err
		}
		_, err = tx.Exec(ctx, `
			update identity.organizations set display_name = @display_name, revision = @revision, update_time = @update_time
			where id = @id`,
			pgx.StrictNamedArgs{
				"id": id, "display_name": next.DisplayName, "revision": next.Revision, "update_time": next.UpdateTime,
			})
		if err != nil {
			return err
		}
		return audit.Record(ctx, s.outbox, tx, e)
	})
	if err != nil {
		return organization.Organization{}, err
	}
	return next, nil
}

// Delete implements organization.Store.
func (s *Organizations) Delete(
	ctx context.Context, id string, decide func(organization.Organization) (fact.Fact, error),
) (token string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		current, err := selectOrganization(ctx, tx, id, lockRemoval)
		if err != nil {
			return err
		}
		f, err := decide(current)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `delete from identity.organizations where id = @id`, pgx.StrictNamedArgs{"id": id}); err != nil {
			return err
		}
		token, err = tell(ctx, tx, s.outbox, f)
		return err
	})
	switch {
	case pg.IsForeignKey(err, organizationFK):
		return "", organization.NotEmpty()
	case err != nil:
		return "", err
	}
	return token, nil
}

func scanOrganization(row pgx.CollectableRow) (organization.Organization, error) {
	o, err := pgx.RowToStructByName[organization.Organization](row)
	o.CreateTime, o.UpdateTime = o.CreateTime.UTC(), o.UpdateTime.UTC()
	return o, err
}
