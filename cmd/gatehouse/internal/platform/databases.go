package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
)

// database is what a program's contract states beyond one role that owns one schema.
func (p *Platform) database(program string) mesh.Database {
	if definition, err := p.opts.Definition.Program(program); err == nil && definition.Database != nil {
		return *definition.Database
	}
	return mesh.Database{}
}

// prepareDatabase makes the roles and schemas of one program, and the files with the URLs that it is given.
func (p *Platform) prepareDatabase(ctx context.Context, admin config.Secret, name string) error {
	extra := p.database(name)
	owner := cmp.Or(extra.Owner, name)
	password, err := p.databasePassword(name, owner)
	if err != nil {
		return err
	}
	if err := pgserver.EnsureRole(ctx, admin, owner, config.NewSecret(password), name); err != nil {
		return err
	}
	for _, schema := range extra.Schemas {
		if err := pgserver.EnsureSchema(ctx, admin, schema, owner); err != nil {
			return err
		}
	}
	if err := pgserver.LimitConnections(ctx, admin, owner, p.connectionLimit(name, owner)); err != nil {
		return err
	}
	if extra.Owner == "" {
		return nil
	}
	password, err = p.databasePassword(name, name)
	if err != nil {
		return err
	}
	if err := pgserver.EnsureServingRole(ctx, admin, name, config.NewSecret(password), name, owner); err != nil {
		return err
	}
	return pgserver.LimitConnections(ctx, admin, name, p.connectionLimit(name, name))
}

// platformID is the file with the platform's id, which marks what is the platform's on a server
// that others use too.
const platformID = "platform.id"

// claim finds out, before anything is changed on the operator's server, that all of it that the
// platform needs is the platform's.
func (p *Platform) claim(ctx context.Context, admin func(database string) config.Secret) error {
	id, err := p.opts.Dir.Secret(platformID, state.Token)
	if err != nil {
		return err
	}
	claim := pgserver.Claim{Platform: id, Database: database, Adopt: p.opts.Adopt}
	for _, name := range p.databaseUsers() {
		roles := []string{name}
		if owner := p.database(name).Owner; owner != "" {
			roles = append(roles, owner)
		}
		part := pgserver.Part{Schema: name}
		for _, role := range roles {
			password, err := p.databasePassword(name, role)
			if err != nil {
				return err
			}
			part.Roles = append(part.Roles, pgserver.Login{Name: role, Password: config.NewSecret(password)})
		}
		claim.Parts = append(claim.Parts, part)
	}
	err = claim.Take(ctx, admin)
	if unreachable := (*pgconn.ConnectError)(nil); errors.As(err, &unreachable) {
		return fmt.Errorf("start it, or correct the URL, which alone counts (no variable of libpq, no ~/.pgpass): %w", err)
	}
	return err
}

// databasePassword is the password of a role with which a program connects.
func (p *Platform) databasePassword(program, role string) (string, error) {
	password, err := p.opts.Dir.Secret("postgres-"+role+".password", state.Password)
	if err != nil {
		return "", err
	}
	return password, p.opts.Dir.WriteSecret(databaseURL(role), p.urlThroughMesh(program, role, password))
}

// databaseRole is the role as which a program connects for a verb.
func (p *Platform) databaseRole(program, verb string) string {
	if owner := p.database(program).Owner; owner != "" && verb == "migrate" {
		return owner
	}
	return program
}
