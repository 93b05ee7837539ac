package database

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// Claim is what a platform wants on a server that it does not run: one database and some roles, all
// marked with the platform's id in their comment. What bears no mark, or another platform's,
// belongs to somebody else.
type Claim struct {
	Platform string // id of the platform, which its state folder keeps
	Database string
	Programs []Program
	Adopt    string // id of a platform whose state folder is lost and whose database becomes this one's; or Unmarked
}

// Unmarked stands in Claim.Adopt for a platform of a version that left no marks.
const Unmarked = "unmarked"

// Take finds out whose database and roles these are and makes those that are missing, marked and
// without a way in; EnsureDatabase and Make do the rest. When anything
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
		found, err := look(ctx, tx, c.Database, c.roles())
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
	return createDatabase(ctx, conn, c.Database, c.Platform)
}

// usable says what a server or its superuser lacks.
func usable(ctx context.Context, db querier) error {
	user, err := adminOf(ctx, db)
	if err == nil && !user.super {
		err = fmt.Errorf("role %s is not a superuser: name one that is, or let the operator run `alter role %s superuser`", user.name, name(user.name))
	}
	return err
}

func (c Claim) roles() []string { return roleNames(c.Programs) }

func roleNames(programs []Program) []string {
	var names []string
	for _, p := range programs {
		for _, role := range p.roles() {
			names = append(names, role.Name)
		}
	}
	return names
}

// mark makes the roles that are missing, unable to sign in until Make has given them a
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
// and gives it its name together with its mark: who is killed in between leaves nothing that nobody
// owns.
func createDatabase(ctx context.Context, conn *pgx.Conn, name, platform string) error {
	fresh := name + "-" + platform
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
		if err := run(ctx, tx, "comment on database %I is %L", fresh, object{}.marked(platform)); err != nil {
			return err
		}
		return run(ctx, tx, "alter database %I rename to %I", fresh, name)
	})
	switch {
	case err == nil:
		return nil
	case sqlState(err) == "42501": // insufficient_privilege
		return fmt.Errorf("name database %s: there is a database %s that somebody else has made: let them drop it, or run this as they did: %w", name, fresh, err)
	default:
		return fmt.Errorf("name database %s: %w", name, err)
	}
}
