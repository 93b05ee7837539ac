// Package target finds the mesh that a command is about: that of the platform of this machine, of
// the development cluster, or of the variables that Consul's and Nomad's own commands read. Here
// alone that is decided.
//
// Only commands of the CLI import it.
package target

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Kind is where a mesh runs.
type Kind string

// The kinds, in the order in which they are looked for.
const (
	Machine     Kind = "machine"     // the platform of a state folder
	Cluster     Kind = "cluster"     // the development cluster
	Environment Kind = "environment" // what CONSUL_* and NOMAD_* name
)

// ErrNone says that there is no mesh anywhere.
var ErrNone = errors.New("no platform runs with this state folder, no development cluster runs, and CONSUL_HTTP_ADDR is not set: " +
	"start one with `gatehouse up` or `make cluster`, or set CONSUL_HTTP_ADDR and what goes with it")

// Options say where to look.
type Options struct {
	State   string // state folder of a platform
	Cluster string // state folder of the development cluster; empty for none
	Only    Kind   // empty for the first that there is
	Environ []string
}

// Target is a mesh that runs.
type Target struct {
	Kind    Kind
	Name    string // for people, such as "the platform of /srv/gatehouse"
	Mend    string // what writes the definition's entries again, for people
	Prefix  request.ServicePrefix
	Environ []string     // of the cluster or the operator: CONSUL_*, NOMAD_*
	Dir     state.Dir    // of a machine
	Record  state.Record // of a machine
}

// Find returns the first mesh that there is, or that of the kind asked for. The error is ErrNone
// when there is none.
func Find(o Options) (*Target, error) {
	for _, look := range []struct {
		kind Kind
		find func(Options) (*Target, error)
	}{{Machine, machine}, {Cluster, development}, {Environment, environment}} {
		if o.Only != "" && o.Only != look.kind {
			continue
		}
		if t, err := look.find(o); !errors.Is(err, ErrNone) {
			return t, err
		}
	}
	switch o.Only {
	case Machine:
		return nil, state.ErrNotRunning
	case Cluster:
		return nil, cluster.ErrNotRunning
	case Environment:
		return nil, errors.New("CONSUL_HTTP_ADDR is not set: set it, and the other CONSUL_* variables that Consul's own command needs")
	default:
		return nil, ErrNone
	}
}

// machine is the platform of the state folder.
func machine(o Options) (*Target, error) {
	dir, err := state.Open(o.State)
	if err != nil {
		return nil, err
	}
	record, err := dir.Running()
	if errors.Is(err, state.ErrNotRunning) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	t := &Target{
		Kind: Machine, Name: "the platform of " + dir.Root(), Mend: "restart the platform", Prefix: record.ServicePrefix, Dir: dir, Record: record,
	}
	return t, nil
}

// Consul is a client of the mesh's Consul with the operator's rights.
func (t *Target) Consul() (*api.Client, error) {
	if t.Kind != Machine {
		return operator.Consul(t.Environ)
	}
	token, err := t.Dir.ReadSecret(platform.ManagementToken)
	if err != nil {
		return nil, fmt.Errorf("%w: run this as the user that runs the platform", err)
	}
	return registry.NewClient(t.Record.Consul, platform.ConsulAPI(t.Dir, token))
}

// Anonymous is a client of the same Consul that shows no token.
func (t *Target) Anonymous() (*api.Client, error) {
	if t.Kind != Machine {
		return operator.Consul(append(slices.Clone(t.Environ), api.HTTPTokenEnvName+"=", api.HTTPTokenFileEnvName+"="))
	}
	return registry.NewClient(t.Record.Consul, platform.ConsulAPI(t.Dir, ""))
}

// development is the development cluster of this machine. It is not there when another user has it.
func development(o Options) (*Target, error) {
	if o.Cluster == "" {
		return nil, ErrNone
	}
	dir, err := state.Open(o.Cluster)
	if err != nil && o.Only != Cluster {
		return nil, ErrNone // it is not ours; there may be something else
	}
	if err != nil {
		return nil, err
	}
	record, err := cluster.Running(dir)
	if errors.Is(err, cluster.ErrNotRunning) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, err
	}
	t := &Target{Kind: Cluster, Name: "the development cluster", Mend: "apply the entries", Prefix: request.ServicePrefix(record.Prefix)}
	pairs, err := cluster.Environ(dir, record)
	for _, pair := range pairs {
		t.Environ = append(t.Environ, pair[0]+"="+pair[1])
	}
	return t, err
}

// environment is what the operator's variables name.
func environment(o Options) (*Target, error) {
	address := operator.Variable(o.Environ, api.HTTPAddrEnvName)
	if address == "" {
		return nil, ErrNone
	}
	t := &Target{
		Kind: Environment, Name: fmt.Sprintf("Consul at %s (%s)", address, api.HTTPAddrEnvName), Mend: "apply the entries",
		Prefix: request.ServicePrefix(operator.Variable(o.Environ, prefixVariable)), Environ: o.Environ,
	}
	return t, t.Prefix.Check()
}

// prefixVariable says what goes before the names of our services in Consul, as for the programs.
const prefixVariable = "GATEHOUSE_MESH_SERVICE_PREFIX"
