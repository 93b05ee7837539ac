package graph

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Colours of what is not as it should be.
const (
	red    = "#c0392b"
	orange = "#b9770e"
)

// colour is that of an arrow, empty where all is well.
func (a Arrow) colour() string {
	switch {
	case a.Extra:
		return orange
	case a.Denied:
		return red
	default:
		return ""
	}
}

// Mermaid is the picture as a flowchart of Mermaid, which GitHub and others draw.
func (g *Graph) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TB\n")
	shapes := map[Kind][2]string{
		Outside: {"([", "])"}, Edge: {"[[", "]]"}, Service: {"[", "]"}, Backing: {"[(", ")]"}, Stranger: {"{{", "}}"},
	}
	for _, n := range g.Nodes {
		shape := shapes[n.Kind]
		fmt.Fprintf(&b, "  %s%s\"%s\"%s\n", g.id(n.Name), shape[0], mermaid(n.lines()), shape[1])
		if len(n.Marks) > 0 || n.Kind == Stranger {
			fmt.Fprintf(&b, "  style %s stroke:%s,stroke-width:3px\n", g.id(n.Name), red)
		}
	}
	for i, a := range g.Arrows {
		fmt.Fprintf(&b, "  %s -->|\"%s\"| %s\n", g.id(a.From), mermaid(a.lines()), g.id(a.To))
		if colour := a.colour(); colour != "" {
			fmt.Fprintf(&b, "  linkStyle %d stroke:%s,stroke-width:3px\n", i, colour)
		}
	}
	for i, note := range g.Notes {
		fmt.Fprintf(&b, "  note%d>\"%s\"]\n", i, mermaid([]string{note}))
	}
	return b.String()
}

var word = regexp.MustCompile(`^[a-z]{1,40}$`)

// id names a node to Mermaid: as it is called where that is a word that means nothing to Mermaid.
func (g *Graph) id(name string) string {
	reserved := []string{"call", "class", "click", "default", "end", "flowchart", "graph", "href", "interpolate", "style", "subgraph"}
	if word.MatchString(name) && !slices.Contains(reserved, name) {
		return name
	}
	return fmt.Sprintf("n%d", g.place(name))
}

// mermaid makes a label of lines. Whatever means something in it becomes an entity; these have no
// ampersand ("Entity codes to escape characters").
func mermaid(lines []string) string {
	var b strings.Builder
	for i, line := range lines {
		if i > 0 {
			b.WriteString("<br>")
		}
		for _, r := range line {
			if plain(r) {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "#%d;", r)
			}
		}
	}
	return b.String()
}

func plain(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" -_./()", r)
}

// DOT is the picture in Graphviz' language.
func (g *Graph) DOT() string {
	var b strings.Builder
	b.WriteString("digraph mesh {\n  node [shape=box, fontname=sans]\n  edge [fontname=sans, fontsize=10]\n")
	shapes := map[Kind]string{Outside: "oval", Edge: "box3d", Service: "box", Backing: "cylinder", Stranger: "octagon"}
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "  %s [label=%s, shape=%s", dot(n.Name), dot(n.lines()...), shapes[n.Kind])
		if len(n.Marks) > 0 || n.Kind == Stranger {
			fmt.Fprintf(&b, ", color=%q, penwidth=3", red)
		}
		b.WriteString("]\n")
	}
	for _, a := range g.Arrows {
		fmt.Fprintf(&b, "  %s -> %s [label=%s", dot(a.From), dot(a.To), dot(a.lines()...))
		if colour := a.colour(); colour != "" {
			fmt.Fprintf(&b, ", color=%q, penwidth=3", colour)
		}
		b.WriteString("]\n")
	}
	for i, note := range g.Notes {
		fmt.Fprintf(&b, "  note%d [label=%s, shape=note]\n", i, dot(note))
	}
	b.WriteString("}\n")
	return b.String()
}

// dot quotes lines as one string of the language, where a backslash begins an escape of a label.
func dot(lines ...string) string {
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	all := make([]string, 0, len(lines))
	for _, line := range lines {
		all = append(all, quoted.Replace(line))
	}
	return `"` + strings.Join(all, `\n`) + `"`
}

// place is where a node stands among the others.
func (g *Graph) place(name string) int {
	return slices.IndexFunc(g.Nodes, func(n Node) bool { return n.Name == name })
}
