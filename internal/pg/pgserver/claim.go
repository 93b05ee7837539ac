package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// Claim is what a platform wants on a server that it does not run: one database and some roles, all
// marked with the platform's id in their comment. What bears no mark, or another platform's,
// belongs to somebody else.
type Claim struct {
	Platform string // id of the platform, which its state folder keeps
	Database string
	Parts    []Part
	Adopt    string // id of a platform whose state folder is lost and whose database becomes this one's; or Unmarked
}

// Part is what one program has: a schema, and the roles that use it, of which one owns it.
type Part struct {
	Schema string
	Roles  []Login
}

// Login is a role with the password that the state folder keeps for it.
type Login struct {
	Name     string
	Password config.Secret
}

// Unmarked stands in Claim.Adopt for a platform of a version that left no marks.
const Unmarked = "unmarked"

// Take finds out whose database and roles these are and makes those that are missing, marked and
// without a way in; EnsureDatabase, EnsureRole and EnsureServingRole do the rest. When anything
// there belongs to somebody else, it names that in one sentence and changes nothing. Of several
// platforms that come at once, one gets all. superURL leads the superuser to a database.
//
// A platform of a version that left no marks is known by the owners of its schemas, and by its
// passwords, which only its own state folder has.
func (c Claim) Take(ctx context.Context, superURL func(database string) config.Secret) error {
	conn, err := connect(ctx, superURL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	var fresh bool
	if err := usable(ctx, conn); err != nil {
		return err
	}
	err = changeRoles(ctx, conn, func(tx pgx.Tx) error {
		found, err := c.look(ctx, tx)
		if err != nil {
			return err
		}
		if err := c.judge(ctx, found, superURL); err != nil {
			return err
		}
		fresh = !found.database.exists
		return c.mark(ctx, tx, found)
	})
	if err != nil || !fresh {
		return err
	}
	return c.createDatabase(ctx, conn)
}

// usable says what a server or its superuser lacks.
func usable(ctx context.Context, db database) error {
	var user string
	var super, standby bool
	var version int
	err := db.QueryRow(ctx, "select rolname, rolsuper, pg_is_in_recovery(), current_setting('server_version_num')::int from pg_roles where rolname = current_user").
		Scan(&user, &super, &standby, &version)
	switch {
	case err != nil:
		return fmt.Errorf("look for the rights of the superuser: %w", err)
	case version < MinMajor*10000:
		return fmt.Errorf("it is PostgreSQL %d: name a server of version %d or newer", version/10000, MinMajor)
	case standby:
		return errors.New("it is a standby, which changes nothing: name the primary server")
	case !super:
		return fmt.Errorf("role %s is no superuser: name one that is, or let the operator run `alter role %s superuser`", user, user)
	default:
		return nil
	}
}

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

func (c Claim) roles() []string {
	var names []string
	for _, part := range c.Parts {
		for _, role := range part.Roles {
			names = append(names, role.Name)
		}
	}
	return names
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

// judge returns nil when all that is there is the platform's, or may become so.
func (c Claim) judge(ctx context.Context, found situation, superURL func(string) config.Secret) error {
	const unchanged = "; nothing was changed: "
	things := map[string]object{"the database " + c.Database: found.database}
	for name, role := range found.roles {
		things["the role "+name] = role
	}
	unknown := false
	for _, thing := range slices.Sorted(maps.Keys(things)) {
		o := things[thing]
		switch owner := o.owner(); {
		case !o.exists || owner == c.Platform || owner != "" && owner == c.Adopt:
		case owner != "":
			return fmt.Errorf("%s belongs to the platform %s, and this state folder is that of %s%sstart that one with its own state folder, or, if that is lost for good, take its database over with `gatehouse up --adopt %s`",
				thing, owner, c.Platform, unchanged, owner)
		default:
			unknown = true
		}
	}
	if !unknown {
		return nil
	}
	strange, err := c.strangers(ctx, found, superURL)
	switch {
	case err != nil:
		return err
	case len(strange) > 0:
		return fmt.Errorf("it has %s, not made by Gatehouse%srename what is in the way, or give Gatehouse a server of its own", strings.Join(strange, " and "), unchanged)
	case c.Adopt == Unmarked:
		return nil
	}
	if err := c.prove(ctx, found, superURL(c.Database)); err != nil {
		return fmt.Errorf("the database %s was made by a version of Gatehouse that left no marks, and nothing shows that it is this state folder's (%w)%sstart it with its own state folder, or, if this is that one or that is lost for good, take it over with `gatehouse up --adopt %s`",
			c.Database, err, unchanged, Unmarked)
	}
	return nil
}

// strangers names what bears no mark and is no part of a platform of before: there, each program's
// schema is owned by a role of the program.
func (c Claim) strangers(ctx context.Context, found situation, superURL func(string) config.Secret) ([]string, error) {
	owners := map[string]string{}
	if found.database.exists {
		var err error
		if owners, err = c.schemaOwners(ctx, superURL(c.Database)); err != nil {
			return nil, err
		}
	}
	var strange []string
	known := 0
	for _, part := range c.Parts {
		ours := slices.ContainsFunc(part.Roles, func(role Login) bool { return role.Name == owners[part.Schema] })
		if ours {
			known++
			continue
		}
		for _, role := range part.Roles {
			if o := found.roles[role.Name]; o.exists && o.owner() == "" {
				strange = append(strange, "a role "+role.Name)
			}
		}
	}
	if found.database.exists && found.database.owner() == "" && known == 0 {
		strange = append([]string{"a database " + c.Database}, strange...)
	}
	return strange, nil
}

func (c Claim) schemaOwners(ctx context.Context, address config.Secret) (map[string]string, error) {
	conn, err := connect(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, "select nspname, pg_get_userbyid(nspowner)::text from pg_namespace")
	if err != nil {
		return nil, fmt.Errorf("look for the owners of schemas: %w", err)
	}
	owners := map[string]string{}
	var schema, owner string
	_, err = pgx.ForEachRow(rows, []any{&schema, &owner}, func() error {
		owners[schema] = owner
		return nil
	})
	return owners, err
}

// prove signs in as every role that bears no mark, and sees that another password is refused: a
// server may let everybody in, as those do that initdb has made without being told otherwise.
func (c Claim) prove(ctx context.Context, found situation, superURL config.Secret) error {
	for _, part := range c.Parts {
		for _, role := range part.Roles {
			if o := found.roles[role.Name]; !o.exists || o.owner() != "" {
				continue
			}
			if err := signIn(ctx, superURL, role); err != nil {
				return fmt.Errorf("its password for %s is refused", role.Name)
			}
			role.Password = config.NewSecret(rand.Text())
			if err := signIn(ctx, superURL, role); !Refused(err) {
				return fmt.Errorf("the server does not refuse a wrong password for %s", role.Name)
			}
		}
	}
	return nil
}

func signIn(ctx context.Context, superURL config.Secret, role Login) error {
	address, err := as(superURL, role)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, address)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// as is a URL for another role.
func as(address config.Secret, role Login) (config.Secret, error) {
	u, err := url.Parse(address.Reveal())
	if err != nil {
		return config.Secret{}, errors.New("the URL of the server cannot be read") // whose text may hold a password
	}
	u.User = url.UserPassword(role.Name, role.Password.Reveal())
	return config.NewSecret(u.String()), nil
}

// mark makes the roles that are missing, unable to sign in until EnsureRole has given them a
// password, and marks everything.
func (c Claim) mark(ctx context.Context, tx pgx.Tx, found situation) error {
	for _, name := range c.roles() {
		role := found.roles[name]
		if !role.exists {
			if err := run(ctx, tx, "create role %I", name); err != nil {
				return fmt.Errorf("make role %s: %w", name, err)
			}
		}
		if role.owner() == c.Platform {
			continue
		}
		if err := run(ctx, tx, "comment on role %I is %L", name, role.marked(c.Platform)); err != nil {
			return fmt.Errorf("mark role %s: %w", name, err)
		}
	}
	if !found.database.exists || found.database.owner() == c.Platform {
		return nil
	}
	if err := run(ctx, tx, "comment on database %I is %L", c.Database, found.database.marked(c.Platform)); err != nil {
		return fmt.Errorf("mark database %s: %w", c.Database, err)
	}
	return nil
}

// createDatabase makes the database under another name, because that cannot be in a transaction,
// and gives it its name together with its mark: an `up` that is killed in between leaves nothing
// that nobody owns.
func (c Claim) createDatabase(ctx context.Context, conn *pgx.Conn) error {
	fresh := c.Database + "-" + c.Platform
	var exists bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", fresh).Scan(&exists); err != nil {
		return fmt.Errorf("look for database %s: %w", fresh, err)
	}
	if !exists {
		if err := run(ctx, conn, "create database %I", fresh); err != nil {
			return fmt.Errorf("create database %s: %w", fresh, err)
		}
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		return errors.Join(
			run(ctx, tx, "comment on database %I is %L", fresh, object{}.marked(c.Platform)),
			run(ctx, tx, "alter database %I rename to %I", fresh, c.Database),
		)
	})
	if err != nil {
		return fmt.Errorf("name database %s: %w", c.Database, err)
	}
	return nil
}
