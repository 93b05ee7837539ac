package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

// Setup is what a platform has on a server, all marked with the platform's name: one database, and
// the roles and schemas of programs in it.
type Setup struct {
	Platform  string // lower-case letters, digits and hyphens
	Database  string
	Programs  []Program
	OwnServer bool // nobody else uses the server: what is open to everybody there is closed
}

// platformForm is a name that a mark can hold.
var platformForm = regexp.MustCompile(`^([0-9a-f-]{36}|[a-z][a-z0-9-]{0,35})$`)

// Run makes what is missing and brings back what differs. When a database or role of a needed name
// does not bear the platform's mark, it says so in one sentence and changes nothing. admin leads a
// superuser, or a role with CREATEDB and CREATEROLE, to any database.
func (s Setup) Run(ctx context.Context, admin config.Secret) error {
	if err := s.named(); err != nil {
		return err
	}
	if err := s.found(ctx, admin); err != nil {
		return err
	}
	inside, err := to(admin, s.Database)
	if err != nil {
		return err
	}
	if s.OwnServer {
		if err := errors.Join(CloseServer(ctx, admin), CloseFunctions(ctx, inside)); err != nil {
			return err
		}
	}
	verifiers, err := changedPasswords(ctx, inside, s.Programs)
	if err != nil {
		return err
	}
	return change(ctx, inside, "make roles and schemas", func(tx pgx.Tx) error {
		if err := s.without(ctx, tx, verifiers); err != nil {
			return err
		}
		return perform(ctx, tx, s.inside(), verifiers)
	})
}

// named refuses a platform's name that a mark could not hold.
func (s Setup) named() error {
	if !platformForm.MatchString(s.Platform) {
		return fmt.Errorf("%q cannot be the name of a platform: use at most 36 lower-case letters, digits and hyphens, starting with a letter", s.Platform)
	}
	return nil
}

// found looks at what is there, and makes the database when it is not.
func (s Setup) found(ctx context.Context, admin config.Secret) error {
	conn, err := connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	user, err := adminOf(ctx, conn)
	if err != nil {
		return err
	}
	if err := user.suffices(); err != nil {
		return err
	}
	if s.OwnServer && !user.super {
		return fmt.Errorf("role %s is not a superuser, and only one can close a server to everybody: name one, or leave --own-server out", user.name)
	}
	found, err := look(ctx, conn, s.Database, roleNames(s.Programs))
	if err != nil {
		return err
	}
	if err := s.judge(found); err != nil || found.database.exists {
		return err
	}
	return createDatabase(ctx, conn, s.Database, s.Platform)
}

// judge returns nil when all that is there bears the platform's mark.
func (s Setup) judge(found situation) error {
	things, quoted := map[string]object{}, map[string]string{} // by what it is and its name
	add := func(what, called string, o object) {
		thing := what + " " + called
		things[thing], quoted[thing] = o, what+" "+name(called)
	}
	add("database", s.Database, found.database)
	for role, o := range found.roles {
		add("role", role, o)
	}
	var unmarked []string
	for _, thing := range slices.Sorted(maps.Keys(things)) {
		o := things[thing]
		switch owner := o.owner(); {
		case !o.exists || owner == s.Platform:
		case owner != "":
			return fmt.Errorf("the %s belongs to the platform %s, and this one is named %s; nothing was changed: if it is the same one, say --platform %s; else give it a server of its own",
				thing, owner, s.Platform, owner)
		default:
			unmarked = append(unmarked, thing)
		}
	}
	if len(unmarked) == 0 {
		return nil
	}
	return fmt.Errorf("the server has a %s, not made by Gatehouse; nothing was changed: rename what is in the way, or, if it is this platform's, say so with `comment on %s is '%s'`",
		strings.Join(unmarked, " and a "), quoted[unmarked[0]], mark(s.Platform))
}

// without refuses to make a role that nobody could sign in as.
func (s Setup) without(ctx context.Context, tx pgx.Tx, verifiers map[string]config.Secret) error {
	found, err := look(ctx, tx, s.Database, roleNames(s.Programs))
	if err != nil {
		return err
	}
	for _, name := range roleNames(s.Programs) {
		if _, given := verifiers[name]; !given && !found.roles[name].exists {
			return fmt.Errorf("there is no password for the role %s, which is to be made: set %s_FILE, or %s, or have the role made before", name, PasswordVariable(name), PasswordVariable(name))
		}
	}
	return nil
}

// PasswordVariable is the variable with the password of a role.
func PasswordVariable(role string) string {
	return strings.ToUpper(strings.ReplaceAll(role, "-", "_")) + "_PASSWORD"
}

// inside are the statements in the database, after it was made and marked.
func (s Setup) inside() []step {
	list := []step{{each: true, sql: `select format('revoke all on database %I from public', current_database())`}}
	for _, program := range s.Programs {
		list = append(list, program.steps()...)
	}
	for _, role := range roleNames(s.Programs) {
		list = append(list, step{each: true, sql: `select format('comment on role %I is %L', rolname, ` + literal(mark(s.Platform)) + `) from pg_roles
	where rolname = ` + literal(role) + ` and shobj_description(oid, 'pg_authid') is null`})
	}
	for _, program := range s.Programs {
		list = append(list, program.release()...)
	}
	return list
}
