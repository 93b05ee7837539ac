package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// List implements user.Store.
func (s *Users) List(ctx context.Context, scope user.Scope, q resource.Query) ([]user.User, error) {
	sql, args, err := listUsers(scope, q)
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

func listUsers(scope user.Scope, q resource.Query) (string, pgx.StrictNamedArgs, error) {
	var sql strings.Builder
	args := pgx.StrictNamedArgs{}
	sql.WriteString(`
		select ` + userColumns + ` from identity.users where state = 'active'` + within(scope, args))
	if _, everywhere := scope.Organization(); everywhere {
		sql.WriteString(" and revision > 0") // always true: it names the indexes that are for these lists alone
	}
	q.Where = slices.Clone(q.Where)
	for i, c := range q.Where {
		switch c.Field {
		case "state": // of a user that is there
			q.Where[i].Field = "standing"
			sql.WriteString(" and standing <> ''") // always true: it names the index that is for these lists alone
		case "email_verified":
			sql.WriteString(" and email_revision >= 0") // likewise
		}
	}
	err := addConditions(&sql, args, []string{"email", "email_verified", "display_name", "standing", "create_time"}, q)
	return sql.String(), args, err
}

// within is the condition that keeps a query inside of a scope.
func within(scope user.Scope, args pgx.StrictNamedArgs) string {
	organizationID, everywhere := scope.Organization()
	switch {
	case everywhere:
		return ""
	case organizationID == "":
		return " and false"
	}
	args["organization_id"] = organizationID
	return " and organization_id = @organization_id"
}
