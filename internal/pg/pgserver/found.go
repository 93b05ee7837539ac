package pgserver

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

// markText finds a mark, which may stand beside words of the operator.
var markText = regexp.MustCompile(`Gatehouse platform ([0-9a-f-]{36})\b`)

// marked is the comment with the platform's mark, in place of another platform's.
func (o object) marked(platform string) string {
	mark := "Gatehouse platform " + platform
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

func (c Claim) look(ctx context.Context, tx pgx.Tx) (situation, error) {
	found := situation{roles: map[string]object{}}
	rows, err := tx.Query(ctx, `
		select false, rolname, coalesce(shobj_description(oid, 'pg_authid'), '') from pg_roles where rolname = any (@roles)
		union all
		select true, datname, coalesce(shobj_description(oid, 'pg_database'), '') from pg_database where datname = @database`,
		pgx.StrictNamedArgs{"roles": c.roles(), "database": c.Database})
	if err != nil {
		return found, fmt.Errorf("look for roles: %w", err)
	}
	var database bool
	var name, comment string
	_, err = pgx.ForEachRow(rows, []any{&database, &name, &comment}, func() error {
		if database {
			found.database = object{exists: true, comment: comment}
		} else {
			found.roles[name] = object{exists: true, comment: comment}
		}
		return nil
	})
	return found, err
}
