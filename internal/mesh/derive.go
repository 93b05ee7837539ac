package mesh

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// Postgres is the mesh name of the only backing service so far.
const Postgres = "postgres"

// Derive computes the mesh that a contract states: a call is allowed when its caller declares it and its callee consents to it, and
// the edge calls every method that has a route.
func Derive(c *contract.Contract) *Definition {
	d := &Definition{}
	for _, m := range c.Methods() {
		if m.Program != "" {
			d.Methods = append(d.Methods, Method{
				Path: m.FullName, Callee: m.Program, Callers: callers(c, m), Access: accessOf(m), LongLived: m.LongLived,
			})
		}
	}
	needs := []string{}
	for _, p := range c.Programs {
		if slices.Contains(p.Needs, Postgres) {
			needs = append(needs, p.Name)
		}
	}
	slices.Sort(needs)
	d.Backings = []Backing{{
		Name:    Postgres,
		Slot:    BackingSlot,
		Port:    PostgresPort,
		Public:  FirstPublic + BackingSlot,
		Admin:   FirstAdmin + BackingSlot,
		Callers: needs,
	}}
	for _, p := range c.Programs {
		slot := p.Port - FirstPort
		d.Programs = append(d.Programs, Program{
			Name:      p.Name,
			Slot:      slot,
			Port:      p.Port,
			OpsPort:   FirstOpsPort + slot,
			RESTPort:  restPort(c, p),
			Public:    FirstPublic + slot,
			Admin:     FirstAdmin + slot,
			Edge:      p.Edge,
			Upstreams: upstreams(c, d, p),
			Database:  databaseOf(p),
			Secrets:   secretsOf(p),
		})
	}
	d.ObjectTypes = objectTypes(c)
	return d
}

// restPort is where a service answers REST itself, if it is asked to; the edge does so at its own
// port.
func restPort(c *contract.Contract, p contract.Program) int {
	routed := slices.ContainsFunc(c.Methods(), func(m *contract.Method) bool { return m.Program == p.Name && m.Route != nil })
	if p.Edge || !routed {
		return 0
	}
	return FirstRESTPort + p.Port - FirstPort
}

func callers(c *contract.Contract, m *contract.Method) []string {
	names := []string{}
	for _, p := range c.Programs {
		declared := slices.Contains(p.Calls, m.FullName) || (p.Edge && m.Route != nil)
		if declared && m.Consents(p) && p.Name != m.Program {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// upstreams are the local listeners of a program's sidecar: one for each program it may call and each backing service it needs.
func upstreams(c *contract.Contract, d *Definition, p contract.Program) []Upstream {
	first := FirstUpstream + 20*(p.Port-FirstPort)
	list := []Upstream{}
	for _, callee := range c.Programs {
		if d.allowsAny(p.Name, callee.Name) {
			list = append(list, Upstream{Name: callee.Name, Port: first + callee.Port - FirstPort, Protocol: "grpc"})
		}
	}
	for _, b := range d.Backings {
		if slices.Contains(b.Callers, p.Name) {
			list = append(list, Upstream{Name: b.Name, Port: first + b.Slot, Protocol: "tcp"})
		}
	}
	slices.SortFunc(list, func(a, b Upstream) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (d *Definition) allowsAny(caller, callee string) bool {
	return slices.ContainsFunc(d.Methods, func(m Method) bool { return m.Callee == callee && slices.Contains(m.Callers, caller) })
}

// Cell is one question of the allow/deny matrix: may the caller call the path of the callee, or connect to it?
type Cell struct {
	Caller  string
	Callee  string // program or backing service
	Path    string // "/package.Service/Method"; empty for a backing service
	Allowed bool
}

// String is "caller -> path", or "caller -> backing".
func (c Cell) String() string { return c.Caller + " -> " + cmp.Or(c.Path, c.Callee) }

// Cells returns the whole matrix, sorted by callee, path and caller: every program against every method and every backing service. A
// program may not call itself through the mesh, which is a denied cell like any other.
func (d *Definition) Cells() []Cell {
	var cells []Cell
	for _, p := range d.Programs {
		for _, m := range d.Methods {
			cells = append(cells, Cell{Caller: p.Name, Callee: m.Callee, Path: m.Path, Allowed: slices.Contains(m.Callers, p.Name)})
		}
		for _, b := range d.Backings {
			cells = append(cells, Cell{Caller: p.Name, Callee: b.Name, Allowed: slices.Contains(b.Callers, p.Name)})
		}
	}
	slices.SortFunc(cells, compareCells)
	return cells
}

func compareCells(a, b Cell) int {
	return cmp.Or(strings.Compare(a.Callee, b.Callee), strings.Compare(a.Path, b.Path), strings.Compare(a.Caller, b.Caller))
}

// Encode returns the definition as consul/mesh.json holds it.
func (d *Definition) Encode() ([]byte, error) {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode mesh definition: %w", err)
	}
	return append(text, '\n'), nil
}

// Decode reads a definition as Encode wrote it.
func Decode(r io.Reader) (*Definition, error) {
	var d Definition
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return nil, fmt.Errorf("decode mesh definition: %w", err)
	}
	return &d, nil
}
