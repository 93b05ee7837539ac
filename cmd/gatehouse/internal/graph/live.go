package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Running is what a Consul says of the mesh.
type Running struct {
	Prefix  request.ServicePrefix
	Rules   map[string]*explain.Live // by callee: what decides about it
	Drift   []drift.Difference
	Healthy map[string]Health // by program or backing service
}

// Health counts the instances of a service.
type Health struct{ Passing, All int }

// Mark writes into the picture what runs otherwise than the definition says.
func (g *Graph) Mark(d explain.Definition, r Running) error {
	for i, node := range g.Nodes {
		if node.Kind == Outside {
			continue
		}
		if h := r.Healthy[node.Name]; h.All == 0 || h.Passing < h.All {
			g.Nodes[i].Marks = append(g.Nodes[i].Marks, h.String())
		}
	}
	for _, difference := range r.Drift {
		g.drifted(difference, r.Prefix)
	}
	for _, node := range slices.Clone(g.Nodes) {
		if rules := r.Rules[node.Name]; rules != nil {
			if err := g.calls(d, node.Name, rules, r.Prefix); err != nil {
				return err
			}
		}
	}
	return nil
}

// String is the health in words.
func (h Health) String() string {
	if h.All == 0 {
		return "no instance"
	}
	return fmt.Sprintf("%d of %d healthy", h.Passing, h.All)
}

// drifted marks the service that a config entry is about.
func (g *Graph) drifted(of drift.Difference, prefix request.ServicePrefix) {
	kind, service, _ := strings.Cut(of.Entry, "/")
	name, _ := prefix.Program(service)
	said := fmt.Sprintf("%s %s", kind, of.Kind)
	i := slices.IndexFunc(g.Nodes, func(n Node) bool { return n.Name == name && n.Kind != Outside })
	if i < 0 {
		g.Notes = append(g.Notes, fmt.Sprintf("%s %s", of.Entry, of.Kind))
		return
	}
	g.Nodes[i].Marks = append(g.Nodes[i].Marks, said)
}

// calls marks the arrows to a callee whose calls are decided otherwise.
func (g *Graph) calls(d explain.Definition, callee string, rules *explain.Live, prefix request.ServicePrefix) error {
	all := callers(d, rules, prefix)
	for _, caller := range slices.Sorted(maps.Keys(all)) {
		if caller == callee {
			continue
		}
		mine := *rules
		mine.Service = func(string) string { return all[caller] }
		answers, err := d.Answers(explain.Question{Caller: caller, Callee: callee}, &mine)
		if err != nil {
			return err
		}
		g.call(caller, callee, answers)
	}
	return nil
}

// call marks one arrow by what is said of its calls.
func (g *Graph) call(caller, callee string, answers []explain.Answer) {
	denied, byHand, extra := 0, 0, 0
	for _, a := range answers {
		switch {
		case a.Allowed && !a.Running.Allowed && a.Running.Denied != "":
			byHand++
		case a.Allowed && !a.Running.Allowed:
			denied++
		case !a.Allowed && a.Running.Allowed, a.Running.Unsure:
			extra++
		}
	}
	for _, mark := range []struct {
		count int
		says  string
	}{{byHand, "denied by hand"}, {denied, "denied by drift"}, {extra, "allowed by drift"}} {
		if mark.count == 0 {
			continue
		}
		if len(answers) > 1 {
			mark.says = fmt.Sprintf("%d %s", mark.count, mark.says)
		}
		g.node(caller, Stranger)
		arrow := g.arrow(caller, callee)
		arrow.Marks = append(arrow.Marks, mark.says)
	}
	if denied+byHand+extra > 0 {
		arrow := g.arrow(caller, callee)
		arrow.Denied, arrow.Extra = denied+byHand > 0, extra > 0
	}
}

// callers are the names in the picture, and in Consul, of all who may be admitted: the programs of
// the definition, and whoever else the entries name.
func callers(d explain.Definition, rules *explain.Live, prefix request.ServicePrefix) map[string]string {
	all := map[string]string{}
	for _, p := range d.Programs {
		all[p.Name] = prefix.Service(p.Name)
	}
	for _, b := range d.Backings {
		all[b.Name] = prefix.Service(b.Name)
	}
	if rules.Own == nil {
		return all
	}
	for _, source := range rules.Own.Sources {
		name := source.Name
		if name == intentions.Everybody {
			name = "everybody else"
		}
		if program, ours := prefix.Program(source.Name); ours && all[program] != "" {
			continue
		}
		if all[name] != "" {
			name += " (not ours)"
		}
		all[name] = source.Name
	}
	return all
}
