package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// lockJoined locks a personal organization that a user is about to join, and says whether it is one
// that was there before. It waits for a deletion that is about to begin, and, where users are
// counted, for others who join. It comes before the users' rows, in creations and imports alike, so
// that two of them wait in one direction only.
func lockJoined(ctx context.Context, tx pgx.Tx, c user.Creation) (joins bool, err error) {
	switch {
	case c.Personal != nil:
		return false, nil
	case c.Most > 0:
		return lockPersonal(ctx, tx, c.User.OrganizationID, "for no key update")
	}
	return lockPersonal(ctx, tx, c.User.OrganizationID, "for key share")
}

// refuseEnding refuses to join a personal organization whose users are all being deleted: it goes
// with them, and until then it has no owner.
func refuseEnding(ctx context.Context, tx pgx.Tx, u user.User) error {
	alone, err := alone(ctx, tx, u)
	if err == nil && alone {
		return organization.NotFound()
	}
	return err
}

// countUsers counts no more rows than the answer needs: who is not bound may have made many.
const countUsers = `select from identity.users where organization_id = @organization_id limit @most + 1`

// refuseFull refuses users with whom, since they are stored already, a personal organization has
// too many.
func refuseFull(ctx context.Context, tx pgx.Tx, c user.Creation) error {
	if c.Most == 0 {
		return nil
	}
	found, err := tx.Exec(ctx, countUsers, pgx.StrictNamedArgs{"organization_id": c.User.OrganizationID, "most": c.Most})
	if err == nil && found.RowsAffected() > int64(c.Most) {
		return user.OrganizationFull(c.Most)
	}
	return err
}
