package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// DatabaseName is the one database; each program has schemas and roles of its own in it.
const DatabaseName = "gatehouse"

// Database is what a program has in PostgreSQL.
type Database struct {
	Port    int      // of the program's own sidecar, which leads to the server
	Schemas []string // all are the owner's; the first is named like the program
	Roles   []Role   // the one that serves, then the one that owns where that is another
}

// Role is a role of the database.
type Role struct {
	Name  string
	Owner bool   // of the schemas: it migrates. Another role may do only what the migrations grant
	Pools []Pool // of one instance of the program

	instances int // at a time, at most
}

// Pool is a pool of connections that an instance has.
type Pool struct {
	Variable string // sets the size; empty where nothing does
	Size     int    // most connections without it
}

// databaseOf is what a program has in PostgreSQL; nil when it does not need it.
func databaseOf(p mesh.Program) *Database {
	port, err := p.Upstream(mesh.Postgres)
	if err != nil {
		return nil
	}
	d := &Database{Port: port, Schemas: []string{p.Name}}
	serving := Role{Name: p.Name, Owner: true, Pools: []Pool{{"GATEHOUSE_POSTGRES_MAX_CONNS", poolConns}, {Size: ownConns}}}
	if p.Database == nil {
		d.Roles = []Role{serving}
		return d
	}
	d.Schemas = append(d.Schemas, p.Database.Schemas...)
	for _, pool := range p.Database.Pools {
		serving.Pools = append(serving.Pools, Pool(pool))
	}
	serving.Owner = p.Database.Owner == ""
	d.Roles = []Role{serving}
	if !serving.Owner {
		d.Roles = append(d.Roles, Role{Name: p.Database.Owner, Owner: true})
	}
	return d
}

// Serving is the role of the program that serves.
func (d *Database) Serving() Role { return d.Roles[0] }

// Owner is the role that owns the schemas and migrates them.
func (d *Database) Owner() Role { return d.Roles[len(d.Roles)-1] }

// PasswordFile is the secret file with the password of a role.
func PasswordFile(role string) string { return "postgres-" + role + ".password" }

// URLFile is the secret file with the URL under which a program connects as a role.
func URLFile(role string) string { return "postgres-" + role + ".url" }

// Connections of one instance of a program.
const (
	poolConns = 10 // the default of pg.Config
	ownConns  = 2  // the outbox's relay, and who listens to other instances
)

// What a role has beyond an instance: a second one while a rolling start replaces the first, and
// its migration, which may meet another one and an operator's session.
const (
	twoInstances = 2
	besidesConns = 10
)

// superConns are left for the superuser: a backup, who prepares the roles, and the three that
// PostgreSQL keeps back.
const superConns = 20

// ConnectionLimit is how many connections a role may have at a time, in the operator's environment,
// which may make pools larger (R86).
func (r Role) ConnectionLimit(operators []string) int {
	each := 0
	for _, pool := range r.Pools {
		each += pool.size(operators)
	}
	return max(r.instances, twoInstances)*each + besidesConns // who owns and does not serve only migrates
}

// size is what the operator's variable says. A program whose variable is not a number says so when
// it starts.
func (p Pool) size(operators []string) int {
	for _, pair := range operators {
		if value, ok := strings.CutPrefix(pair, p.Variable+"="); ok && p.Variable != "" {
			if n, err := strconv.Atoi(value); err == nil && n > 0 && n <= 1000 {
				return n
			}
		}
	}
	return p.Size
}

// Instances returns a plan whose connection limits cover that many instances of each program at a
// time, and no fewer than two: all of a canary deployment beside all that it replaces.
func (p *Plan) Instances(most int) *Plan {
	larger := &Plan{Programs: slices.Clone(p.Programs)}
	for i, program := range larger.Programs {
		if program.Database == nil {
			continue
		}
		d := *program.Database
		d.Roles = slices.Clone(d.Roles)
		for j := range d.Roles {
			d.Roles[j].instances = most
		}
		larger.Programs[i].Database = &d
	}
	return larger
}

// MaxConnections covers what all roles may have.
func (p *Plan) MaxConnections(operators []string) int {
	sum := superConns
	for _, program := range p.Programs {
		if program.Database == nil {
			continue
		}
		for _, role := range program.Database.Roles {
			sum += role.ConnectionLimit(operators)
		}
	}
	return sum
}
