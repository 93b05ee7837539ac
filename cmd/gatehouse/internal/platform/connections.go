package platform

import (
	"strconv"
	"strings"
)

// Connections of one instance of a program. The pools are as large as the programs' options say.
const (
	poolVariable = "GATEHOUSE_POSTGRES_MAX_CONNS"
	poolConns    = 10
	ownConns     = 2 // the outbox's relay, and in Audit who listens to the other instances
)

// What a role has beyond an instance: a second one while a rolling start replaces the first, and
// its migration, which may meet another one and an operator's session.
const (
	instances    = 2
	besidesConns = 10
	// superConns are left for the superuser: `up`, a backup, and the three that PostgreSQL keeps
	// back.
	superConns = 20
)

// connectionLimit is how many connections a role of a program may have at a time (R86).
func (p *Platform) connectionLimit(program, role string) int {
	if role != program {
		return besidesConns // who owns the schema only migrates
	}
	each := number(p.opts.Environ, poolVariable, poolConns) + ownConns
	for _, pool := range p.database(program).Pools {
		each += number(p.opts.Environ, pool.Variable, pool.Size)
	}
	return instances*each + besidesConns
}

// maxConnections covers what all roles may have.
func (p *Platform) maxConnections() int {
	sum := superConns
	for _, program := range p.databaseUsers() {
		sum += p.connectionLimit(program, program)
		if owner := p.database(program).Owner; owner != "" {
			sum += p.connectionLimit(program, owner)
		}
	}
	return sum
}

// number is the value of a variable of the operator's. A program whose variable is no number says
// so when it starts.
func number(environ []string, variable string, otherwise int) int {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, variable+"="); ok {
			if n, err := strconv.Atoi(value); err == nil && n > 0 && n <= 1000 {
				return n
			}
		}
	}
	return otherwise
}
