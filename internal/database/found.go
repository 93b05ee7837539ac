package database

import (
	"context"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
)

// object is a role or database as it was found.
type object struct {
	exists  bool
	comment string
}

// owner is the id of the platform whose mark the object bears, "" for none.
func (o object) owner() string {
	match := markText.FindStringSubmatch(o.comment)
	if match == nil {
		return ""
	}
	return match[1]
}

// markText finds a mark, which may stand beside words of the operator: the id that `up` makes, or
// the name of a platform that somebody has named.
var markText = regexp.MustCompile(`Gatehouse platform ([0-9a-f-]{36}|[a-z][a-z0-9-]*)\b`)

// mark is what says whose a role or database is.
func mark(platform string) string { return "Gatehouse platform " + platform }

// marked is the comment with the platform's mark, in place of another platform's.
func (o object) marked(platform string) string {
	mark := mark(platform)
	switch {
	case o.owner() != "":
		return markText.ReplaceAllLiteralString(o.comment, mark)
	case o.comment != "":
		return o.comment + "\n" + mark
	default:
		return mark
	}
}

// situation is what is there already.
type situation struct {
	database object
	roles    map[string]object
}

// look finds the database and the roles of these names.
func look(ctx context.Context, db querier, database string, roles []string) (situation, error) {
	found := situation{roles: map[string]object{}}
	rows, err := db.Query(ctx, `
		select false, rolname, coalesce(shobj_description(oid, 'pg_authid'), '') from pg_roles where rolname = any (@roles)
		union all
		select true, datname, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database where datname = @database`,
		pgx.StrictNamedArgs{"roles": roles, "database": database})
	if err != nil {
		return found, fmt.Errorf("look for roles: %w", err)
	}
	var isDatabase bool
	var name, comment string
	_, err = pgx.ForEachRow(rows, []any{&isDatabase, &name, &comment}, func() error {
		if isDatabase {
			found.database = object{exists: true, comment: comment}
		} else {
			found.roles[name] = object{exists: true, comment: comment}
		}
		return nil
	})
	return found, err
}
