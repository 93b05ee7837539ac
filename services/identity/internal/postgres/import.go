package postgres

import (
	"cmp"
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1/reason"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Import implements user.Store. Each statement is about all users, since an import has many.
func (s *Users) Import(ctx context.Context, organizationID string, creations []user.Creation) (holders []user.User, token string, err error) {
	err = s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		if err := refuseEnding(ctx, tx, user.User{OrganizationID: organizationID, ID: creations[0].User.ID}); err != nil {
			return err
		}
		made, err := insertUsers(ctx, tx, creations)
		if err != nil {
			return err
		}
		if token, err = s.settleAll(ctx, tx, organizationID, creations, made); err != nil {
			return err
		}
		holders, err = holdersOf(ctx, tx, organizationID, creations)
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
func insertUsers(ctx context.Context, tx pgx.Tx, creations []user.Creation) (made map[string]bool, err error) {
	users := make([]user.User, len(creations))
	for i, c := range creations {
		users[i] = c.User
	}
	slices.SortStableFunc(users, func(a, b user.User) int { return cmp.Compare(a.Email, b.Email) })
	column := func(of func(user.User) string) []string {
		all := make([]string, len(users))
		for i, u := range users {
			all[i] = of(u)
		}
		return all
	}
	rows, err := tx.Query(ctx, `
		insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time)
		select @organization_id, id, email, display_name, locale, time_zone, @state, @revision, @create_time, @create_time
		from unnest(@ids::uuid[], @emails::text[], @display_names::text[], @locales::text[], @time_zones::text[])
			with ordinality as u (id, email, display_name, locale, time_zone, place)
		order by place
		on conflict do nothing
		returning id`,
		pgx.StrictNamedArgs{
			"organization_id": users[0].OrganizationID, "state": users[0].State, "revision": users[0].Revision, "create_time": users[0].CreateTime,
			"ids": column(func(u user.User) string { return u.ID }), "emails": column(func(u user.User) string { return u.Email }),
			"display_names": column(func(u user.User) string { return u.DisplayName }),
			"locales":       column(func(u user.User) string { return u.Locale }), "time_zones": column(func(u user.User) string { return u.TimeZone }),
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

// settleAll completes the creations of the users that were made: their facts, in the order of the
// request, and the tokens of their relationships.
func (s *Users) settleAll(ctx context.Context, tx pgx.Tx, organizationID string, creations []user.Creation, made map[string]bool) (token string, err error) {
	var ids []string
	var facts []fact.Fact
	for _, c := range creations {
		if made[c.User.ID] {
			ids, facts = append(ids, c.User.ID), append(facts, c.Joined)
		}
	}
	if len(ids) == 0 {
		return "", nil
	}
	tokens, err := tellAll(ctx, tx, s.outbox, organizationID, facts)
	if err != nil {
		return "", err
	}
	_, err = tx.Exec(ctx, `
		update identity.users as u set relationships_token = t.token
		from unnest(@ids::uuid[], @tokens::text[]) as t (id, token)
		where u.organization_id = @organization_id and u.id = t.id`,
		pgx.StrictNamedArgs{"organization_id": organizationID, "ids": ids, "tokens": tokens})
	return tokens[len(tokens)-1], err
}

// holdersOf returns who has each address.
func holdersOf(ctx context.Context, tx pgx.Tx, organizationID string, creations []user.Creation) ([]user.User, error) {
	emails := make([]string, len(creations))
	for i, c := range creations {
		emails[i] = c.User.Email
	}
	rows, err := tx.Query(ctx, `
		select `+userColumns+` from identity.users
		where organization_id = @organization_id and email = any(@emails::text[]) and state = 'active'`,
		pgx.StrictNamedArgs{"organization_id": organizationID, "emails": emails})
	if err != nil {
		return nil, err
	}
	users, err := pgx.CollectRows(rows, scanUser)
	if err != nil {
		return nil, err
	}
	by := make(map[string]user.User, len(users))
	for _, u := range users {
		by[u.Email] = u
	}
	holders := make([]user.User, len(creations))
	for i, email := range emails {
		holder, found := by[email]
		if !found { // it was there a moment ago
			return nil, reason.ConcurrentChange().Saying("a user is being deleted at this moment: repeat the request")
		}
		holders[i] = holder
	}
	return holders, nil
}
