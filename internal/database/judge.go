package database

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
)

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

// strangers names what bears no mark and is not part of a platform of before: there, each program's
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
	for _, part := range c.Programs {
		ours := slices.ContainsFunc(part.roles(), func(role Role) bool { return role.Name == owners[part.Schemas[0]] })
		if ours {
			known++
			continue
		}
		for _, role := range part.roles() {
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
	for _, part := range c.Programs {
		for _, role := range part.roles() {
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
