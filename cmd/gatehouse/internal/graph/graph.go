// Package graph is the mesh as a picture: programs, backing services and who calls whom, as the
// definition says, with what runs otherwise marked. It writes Mermaid, DOT and SVG.
//
// Only the `mesh graph` command and the tests of the documents import it.
package graph

import (
	"fmt"
	"slices"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Kind is what a node stands for.
type Kind string

// The kinds of nodes.
const (
	Outside  Kind = "outside"  // who calls the edge
	Edge     Kind = "edge"     // serves HTTP to the outside
	Service  Kind = "service"  // a program
	Backing  Kind = "backing"  // reached by connections, without methods
	Stranger Kind = "stranger" // in no contract, and admitted by what runs
)

// clients is the node of who calls the edge.
const clients = "REST clients"

// Node is one service of the mesh. Marks say what is not as it should be.
type Node struct {
	Name  string
	Kind  Kind
	Marks []string
}

// Arrow is what one node may ask of another.
type Arrow struct {
	From, To string
	What     string // "5 methods", "connections"
	Denied   bool   // something of it is denied that the definition allows
	Extra    bool   // something of it is allowed that the definition denies
	Marks    []string
}

// Graph is the picture. Notes are about no node.
type Graph struct {
	Nodes  []Node  // the edge and programs by slot, then backing services
	Arrows []Arrow // in the order of their callers
	Notes  []string
}

// Of is the picture of a definition.
func Of(def *mesh.Definition) *Graph {
	g := &Graph{}
	for _, p := range def.Programs {
		kind := Service
		if p.Edge {
			kind = Edge
			g.Nodes = append(g.Nodes, Node{Name: clients, Kind: Outside})
			g.Arrows = append(g.Arrows, Arrow{From: clients, To: p.Name, What: "REST"})
		}
		g.Nodes = append(g.Nodes, Node{Name: p.Name, Kind: kind})
		for _, u := range p.Upstreams {
			g.Arrows = append(g.Arrows, Arrow{From: p.Name, To: u.Name, What: asked(def, p.Name, u.Name)})
		}
	}
	for _, b := range def.Backings {
		g.Nodes = append(g.Nodes, Node{Name: b.Name, Kind: Backing})
	}
	return g
}

// asked is what a caller may ask of a callee, in words.
func asked(def *mesh.Definition, caller, callee string) string {
	if _, err := def.Backing(callee); err == nil {
		return "connections"
	}
	methods := 0
	for _, m := range def.Methods {
		if m.Callee == callee && slices.Contains(m.Callers, caller) {
			methods++
		}
	}
	return counted(methods)
}

func counted(methods int) string {
	if methods == 1 {
		return "1 method"
	}
	return fmt.Sprintf("%d methods", methods)
}

// node finds a node, and makes it when there is none.
func (g *Graph) node(name string, kind Kind) *Node {
	i := slices.IndexFunc(g.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		g.Nodes = append(g.Nodes, Node{Name: name, Kind: kind})
		i = len(g.Nodes) - 1
	}
	return &g.Nodes[i]
}

// arrow finds an arrow, and makes it when there is none.
func (g *Graph) arrow(from, to string) *Arrow {
	i := slices.IndexFunc(g.Arrows, func(a Arrow) bool { return a.From == from && a.To == to })
	if i < 0 {
		g.Arrows = append(g.Arrows, Arrow{From: from, To: to})
		i = len(g.Arrows) - 1
	}
	return &g.Arrows[i]
}

// lines are the words at a node: its name, then its marks.
func (n Node) lines() []string { return append([]string{n.Name}, n.Marks...) }

// lines are the words at an arrow: what is allowed, then the marks.
func (a Arrow) lines() []string {
	if a.What == "" {
		return a.Marks
	}
	return append([]string{a.What}, a.Marks...)
}
