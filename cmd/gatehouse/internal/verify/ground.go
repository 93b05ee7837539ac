package verify

import (
	"context"
	"maps"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Surroundings are where a mesh runs: one machine, or a cluster.
type Surroundings interface {
	// survey finds who is to be asked and gets what to ask with. release takes back what it has made
	// in Consul, whatever has happened since; it is there also after an error.
	survey(ctx context.Context, def *mesh.Definition) (g *ground, release func() error, err error)

	// look finds what no question shows: sockets that are open to others, each a sentence, and the
	// versions of what runs, by the names of host.Below.
	look(ctx context.Context, def *mesh.Definition, g *ground) (listening []string, versions map[string][]string, err error)

	// meanwhile finds what has changed since the survey: which of its instances have ended, by their
	// names, and what is there that it has not seen, a sentence each.
	meanwhile(ctx context.Context, def *mesh.Definition, g *ground) (ended []string, untried []string, err error)

	// entries are what the definition wants of this place's Consul.
	entries(def *mesh.Definition) expected
}

// expected are the config entries that a Consul should hold.
type expected struct {
	want []api.ConfigEntry
	owns func(api.ConfigEntry) bool // whether one beside them is ours, and too many
	mend string                     // what writes them again
}

// ground is what a survey has found.
type ground struct {
	roots   roots
	consul  *api.Client         // with the operator's rights
	own     map[string]identity // of every program and backing service
	tokens  map[string]string   // of Consul, of some of their services; by the same names
	callees []instance
	callers []sidecar
	entered []entered
	doors   []door
	more    []probe  // questions that only this place has
	looked  int      // allocations whose sockets were looked at
	untried []string // what should be tried and cannot be, a sentence each
}

// instance is one that runs of a program or backing service, as callers find it.
type instance struct {
	program string
	name    string // in the report: the program's where there is one only
	id      string // of the service in Consul
	node    string // of Consul, on which it runs
	public  string // host:port of its sidecar's public listener
}

// entered is an instance whose allocation runs on this machine, with one of its processes.
type entered struct {
	instance

	allocation string
	pid        int
}

// sidecar is that of one instance as the instance finds it.
type sidecar struct {
	program mesh.Program // with the ports of the instance
	name    string       // of the instance
	dial    rawcall.Dialer
	address func(port int) string // of the listener of a port of the program
}

// foreign is the token of another service than the program's.
func (g *ground) foreign(program string) string {
	for _, name := range slices.Sorted(maps.Keys(g.tokens)) {
		if name != program {
			return g.tokens[name]
		}
	}
	return ""
}
