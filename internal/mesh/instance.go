package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MaxInstances is how many instances of a program one machine runs: for more there are no ports,
// and no connections to the database.
const MaxInstances = 2

// Where the ports of the second instance are, in the layout of a machine: what the first one has,
// moved to where nobody else's are.
const (
	secondProgram  = FirstPort + 20
	secondREST     = FirstRESTPort + 20
	secondOps      = FirstOpsPort + 40 // Consul's own are between
	secondUpstream = 8600
	secondPublic   = FirstPublic + 20
	secondAdmin    = FirstAdmin + 20
)

// Instance is one process of a program on a machine that may run several, with the ports of its
// own.
type Instance struct {
	Program

	Number int // from 1
}

// ID names the instance among all processes of the machine.
func (i Instance) ID() string { return InstanceID(i.Name, i.Number) }

// InstanceID is the name for the first instance, and for another one "name-2".
func InstanceID(name string, number int) string {
	if number <= 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, number)
}

// Instance returns an instance of a program, by its number from 1.
func (d *Definition) Instance(name string, number int) (Instance, error) {
	p, err := d.Program(name)
	switch {
	case err != nil:
		return Instance{}, err
	case number > MaxInstances || number > 1 && p.Edge:
		return Instance{}, fmt.Errorf("%s has no instance %d on one machine", name, number)
	case number <= 1:
		return Instance{Program: p, Number: 1}, nil
	}
	p.Port, p.OpsPort, p.Public, p.Admin = secondProgram+p.Slot, secondOps+p.Slot, secondPublic+p.Slot, secondAdmin+p.Slot
	if p.RESTPort != 0 {
		p.RESTPort = secondREST + p.Slot
	}
	p.Upstreams = slices.Clone(p.Upstreams)
	for i := range p.Upstreams {
		p.Upstreams[i].Port += secondUpstream - FirstUpstream
	}
	return Instance{Program: p, Number: number}, nil
}

// Local is the definition as an instance of a program reads it: it finds its own ports where others
// find those of the first.
func (d *Definition) Local(name string, number int) (*Definition, error) {
	if number <= 1 {
		return d, nil
	}
	instance, err := d.Instance(name, number)
	if err != nil {
		return nil, err
	}
	local := *d
	local.Programs = slices.Clone(d.Programs)
	for i := range local.Programs {
		if local.Programs[i].Name == name {
			local.Programs[i] = instance.Program
		}
	}
	return &local, nil
}

// Scale is how many instances of programs one machine runs: one of those that it does not name.
type Scale map[string]int

// String is the scale as `gatehouse up --scale` takes it.
func (s Scale) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		all = append(all, fmt.Sprintf("%s=%d", name, s[name]))
	}
	return strings.Join(all, ",")
}

// Of is the number of instances of a program.
func (s Scale) Of(program string) int { return max(s[program], 1) }

// Check says in one sentence what of the scale cannot be.
func (s Scale) Check(d *Definition) error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		n := s[name]
		p, err := d.Program(name)
		_, backing := d.Backing(name)
		_, taken := d.Program(InstanceID(name, n))
		switch {
		case n < 1 || n > MaxInstances:
			return fmt.Errorf("--scale %s=%d cannot be: one machine runs 1 or %d instances of a program", name, n, MaxInstances)
		case err != nil && backing != nil:
			return fmt.Errorf("--scale %s=%d names no program: choose one of %s", name, n, strings.Join(d.scalable(), ", "))
		case n > 1 && backing == nil:
			return fmt.Errorf("--scale %s=%d cannot be: %s holds the data, and there is one of it", name, n, name)
		case n > 1 && p.Edge:
			return fmt.Errorf("--scale %s=%d cannot be: %s has the one address for the outside", name, n, name)
		case n > 1 && taken == nil:
			return fmt.Errorf("--scale %s=%d cannot be: its instance would have the name of the program %s", name, n, InstanceID(name, n))
		}
	}
	return nil
}

// scalable are the programs that may have several instances.
func (d *Definition) scalable() []string {
	var names []string
	for _, p := range d.Programs {
		if !p.Edge {
			names = append(names, p.Name)
		}
	}
	return names
}

// Instances are all instances of all programs.
func (d *Definition) Instances(s Scale) []Instance {
	var all []Instance
	for _, p := range d.Programs {
		for number := range s.Of(p.Name) {
			if instance, err := d.Instance(p.Name, number+1); err == nil {
				all = append(all, instance)
			}
		}
	}
	return all
}
