package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Import implements user.Store. Each statement is about all users, since an import has many.
func (s *Users) Import(ctx context.Context, organizationID string, creations []user.Creation) (holders []user.User, token string, err error) {
	parcels := packed(s.outbox.NewID, creations)
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		joins, err := lockJoined(ctx, tx, creations[0])
		if err != nil {
			return err
		}
		if joins {
			if err := refuseEnding(ctx, tx, creations[0].User); err != nil {
				return err
			}
		}
		made, err := insertUsers(ctx, tx, parcels)
		if err != nil {
			return err
		}
		if joins && len(made) > 0 {
			if err := refuseFull(ctx, tx, creations[0]); err != nil {
				return err
			}
		}
		if token, err = tellAll(ctx, tx, s.outbox, organizationID, parcels, made); err != nil {
			return err
		}
		holders, err = holdersOf(ctx, tx, organizationID, creations, made)
		return err
	})
	if pg.IsForeignKey(err, organizationFK) {
		return nil, "", organization.NotFound()
	}
	if err != nil {
		return nil, "", err
	}
	return holders, token, nil
}

// insertUsers stores the users whose addresses are free and returns their ids. All imports insert
// in the order of addresses: two that meet wait for each other in one direction only.
func insertUsers(ctx context.Context, tx pgx.Tx, parcels []parcel) (made map[string]bool, err error) {
	type row struct {
		user.User
		token string
	}
	var all []row
	for _, p := range parcels {
		for _, c := range p.creations {
			all = append(all, row{c.User, p.token()})
		}
	}
	slices.SortStableFunc(all, func(a, b row) int { return cmp.Compare(a.Email, b.Email) })
	column := func(of func(row) string) []string {
		values := make([]string, len(all))
		for i, r := range all {
			values[i] = of(r)
		}
		return values
	}
	rows, err := tx.Query(ctx, `
		insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, standing, revision, create_time, update_time, relationships_token)
		select @organization_id, id, email, display_name, locale, time_zone, 'active', @state, @revision, @create_time, @create_time, token
		from unnest(@ids::uuid[], @emails::text[], @display_names::text[], @locales::text[], @time_zones::text[], @tokens::text[])
			with ordinality as u (id, email, display_name, locale, time_zone, token, place)
		order by place
		on conflict do nothing
		returning id`,
		pgx.StrictNamedArgs{
			"organization_id": all[0].OrganizationID, "state": all[0].State, "revision": all[0].Revision, "create_time": all[0].CreateTime,
			"ids": column(func(r row) string { return r.ID }), "emails": column(func(r row) string { return r.Email }),
			"display_names": column(func(r row) string { return r.DisplayName }), "tokens": column(func(r row) string { return r.token }),
			"locales": column(func(r row) string { return r.Locale }), "time_zones": column(func(r row) string { return r.TimeZone }),
		})
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	made = make(map[string]bool, len(ids))
	for _, id := range ids {
		made[id] = true
	}
	return made, err
}

// selectHolders looks each address up by itself: a plan that was made while there were few users
// would otherwise read all of the organization for every message of an import that adds many.
const selectHolders = `
	select holder.* from unnest(@emails::text[]) as asked (email), lateral (
		select ` + userColumns + ` from identity.users as u
		where u.organization_id = @organization_id and u.email = asked.email and u.state = 'active' limit 1) as holder`

// holdersOf returns who has each address: whom the import made, or whoever had it before.
func holdersOf(ctx context.Context, tx pgx.Tx, organizationID string, creations []user.Creation, made map[string]bool) ([]user.User, error) {
	var taken []string
	by := make(map[string]user.User, len(creations))
	for _, c := range creations {
		if made[c.User.ID] {
			by[c.User.Email] = c.User
		} else {
			taken = append(taken, c.User.Email)
		}
	}
	if len(taken) > 0 {
		rows, err := tx.Query(ctx, selectHolders, pgx.StrictNamedArgs{"organization_id": organizationID, "emails": taken})
		if err != nil {
			return nil, err
		}
		before, err := pgx.CollectRows(rows, scanUser)
		if err != nil {
			return nil, err
		}
		for _, u := range before {
			by[u.Email] = u
		}
	}
	holders := make([]user.User, len(creations))
	for i, c := range creations {
		holder, found := by[c.User.Email]
		if !found { // it was there a moment ago
			return nil, reason.ConcurrentChange().Saying("a user is being deleted at this moment: repeat the request")
		}
		holders[i] = holder
	}
	return holders, nil
}
