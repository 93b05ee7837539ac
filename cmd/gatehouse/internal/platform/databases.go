package platform

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// prepareDatabase makes the roles and schemas of one program, and the files with the URLs that it
// is given.
func (p *Platform) prepareDatabase(ctx context.Context, admin config.Secret, program plan.Program) error {
	d := program.Database
	schema, owner, serving := d.Schemas[0], d.Owner(), d.Serving()
	password, err := p.databasePassword(program, owner.Name)
	if err != nil {
		return err
	}
	if err := pgserver.EnsureRole(ctx, admin, owner.Name, config.NewSecret(password), schema); err != nil {
		return err
	}
	for _, further := range d.Schemas[1:] {
		if err := pgserver.EnsureSchema(ctx, admin, further, owner.Name); err != nil {
			return err
		}
	}
	if err := pgserver.LimitConnections(ctx, admin, owner.Name, owner.ConnectionLimit(p.opts.Environ)); err != nil {
		return err
	}
	if serving.Owner {
		return nil
	}
	password, err = p.databasePassword(program, serving.Name)
	if err != nil {
		return err
	}
	if err := pgserver.EnsureServingRole(ctx, admin, serving.Name, config.NewSecret(password), schema, owner.Name); err != nil {
		return err
	}
	return pgserver.LimitConnections(ctx, admin, serving.Name, serving.ConnectionLimit(p.opts.Environ))
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
	claim := pgserver.Claim{Platform: id, Database: plan.DatabaseName, Adopt: p.opts.Adopt}
	for _, program := range p.databaseUsers() {
		part := pgserver.Part{Schema: program.Database.Schemas[0]}
		for _, role := range program.Database.Roles {
			password, err := p.databasePassword(program, role.Name)
			if err != nil {
				return err
			}
			part.Roles = append(part.Roles, pgserver.Login{Name: role.Name, Password: config.NewSecret(password)})
		}
		claim.Parts = append(claim.Parts, part)
	}
	err = claim.Take(ctx, admin)
	if unreachable := (*pgconn.ConnectError)(nil); errors.As(err, &unreachable) {
		return fmt.Errorf("start it, or correct the URL, which alone counts (no variable of libpq, no ~/.pgpass): %w", err)
	}
	return err
}

// databasePassword is the password of a role with which a program connects. Each instance has a URL
// of its own: that of its own sidecar.
func (p *Platform) databasePassword(program plan.Program, role string) (string, error) {
	password, err := p.opts.Dir.Secret(plan.PasswordFile(role), state.Password)
	if err != nil {
		return "", err
	}
	for number := 1; number <= p.opts.Scale.Of(program.Name); number++ {
		instance, err := p.opts.Definition.Instance(program.Name, number)
		if err != nil {
			return "", err
		}
		port, err := instance.Upstream(mesh.Postgres)
		if err != nil {
			return "", err
		}
		if err := p.opts.Dir.WriteSecret(urlFile(role, number), p.urlThroughMesh(port, role, password)); err != nil {
			return "", err
		}
	}
	return password, nil
}

// urlFile is the secret file with the URL of the database for an instance.
func urlFile(role string, number int) string { return plan.URLFile(mesh.InstanceID(role, number)) }

// databaseUsers are the programs that need the database.
func (p *Platform) databaseUsers() []plan.Program {
	return slices.DeleteFunc(slices.Clone(p.plan.Programs), func(program plan.Program) bool { return program.Database == nil })
}
