package platform

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
)

// platformID is the file with the platform's id, which marks what is the platform's on a server
// that others use too.
const platformID = "platform.id"

// claim finds out, before anything is changed on the operator's server, that all of it that the
// platform needs is the platform's.
func (p *Platform) claim(ctx context.Context, admin func(database string) config.Secret, programs []database.Program) error {
	id, err := p.opts.Dir.Secret(platformID, state.Token)
	if err != nil {
		return err
	}
	claim := database.Claim{Platform: id, Database: plan.DatabaseName, Programs: programs, Adopt: p.opts.Adopt}
	err = claim.Take(ctx, admin)
	if unreachable := (*pgconn.ConnectError)(nil); errors.As(err, &unreachable) {
		return fmt.Errorf("start it, or correct the URL, which alone counts (no variable of libpq, no ~/.pgpass): %w", err)
	}
	return err
}

// databases are what the programs have in PostgreSQL, with the passwords that the state folder
// keeps. The files with the URLs that the programs are given are made with them.
func (p *Platform) databases() ([]database.Program, error) {
	users := map[string]plan.Program{}
	for _, program := range p.plan.Programs {
		if program.Database == nil {
			continue
		}
		for _, role := range program.Database.Roles {
			users[role.Name] = program
		}
	}
	if err := p.forgetURLs(users); err != nil {
		return nil, err
	}
	return database.Of(p.plan, p.opts.Environ, func(role string) (config.Secret, error) {
		password, err := p.databasePassword(users[role], role)
		return config.NewSecret(password), err
	})
}

// forgetURLs removes those of instances that only an earlier start had, before this one's are made.
func (p *Platform) forgetURLs(users map[string]plan.Program) error {
	for role, program := range users {
		for number := p.opts.Scale.Of(program.Name) + 1; number <= mesh.MaxInstances; number++ {
			if err := p.opts.Dir.RemoveSecret(urlFile(role, number)); err != nil {
				return err
			}
		}
	}
	return nil
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
