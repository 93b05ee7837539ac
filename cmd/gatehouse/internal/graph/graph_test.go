package graph_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/drift"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/explain"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/graph"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Every arrow is what the definition allows, and all that it allows is an arrow.
func TestArrowsAreWhatIsAllowed(t *testing.T) {
	def := meshtest.Definition(t)
	want := map[string]int{}
	for _, cell := range def.Cells() {
		if cell.Allowed {
			want[cell.Caller+" -> "+cell.Callee]++
		}
	}
	for _, a := range graph.Of(def).Arrows {
		if a.What == "REST" {
			continue
		}
		n, pair := 0, a.From+" -> "+a.To
		if _, err := fmt.Sscanf(a.What, "%d method", &n); err != nil && a.What == "connections" {
			n = 1
		}
		if n != want[pair] {
			t.Errorf("%s: %q, and %d are allowed", pair, a.What, want[pair])
		}
		delete(want, pair)
	}
	if len(want) > 0 {
		t.Errorf("no arrows for %v", want)
	}
}

const prefix = "x-"

// small is a mesh of an edge, two services and a database, with what a Consul should hold of it.
func small() (*mesh.Definition, map[string]*explain.Live) {
	def := &mesh.Definition{
		Programs: []mesh.Program{
			{Name: "door", Edge: true, Upstreams: []mesh.Upstream{{Name: "shop", Protocol: "grpc"}}},
			{Name: "shop", Slot: 1, Upstreams: []mesh.Upstream{{Name: "end", Protocol: "grpc"}, {Name: "postgres", Protocol: "tcp"}}},
			{Name: "end", Slot: 2},
		},
		Backings: []mesh.Backing{{Name: "postgres", Slot: mesh.BackingSlot, Callers: []string{"shop"}}},
		Methods: []mesh.Method{
			{Path: "/end.v1.End/Take", Callee: "end", Callers: []string{"shop"}},
			{Path: "/end.v1.End/Wait", Callee: "end", Callers: []string{"shop"}},
			{Path: "/shop.v1.Shop/Buy", Callee: "shop", Callers: []string{"door"}},
		},
	}
	rules := map[string]*explain.Live{}
	for _, entry := range registry.ConfigEntries(def, prefix) {
		if own, ok := entry.(*api.ServiceIntentionsConfigEntry); ok {
			rules[strings.TrimPrefix(own.Name, prefix)] = &explain.Live{Own: own}
		}
	}
	return def, rules
}

func all(n int) map[string]graph.Health {
	return map[string]graph.Health{"door": {Passing: n, All: n}, "shop": {Passing: n, All: n}, "end": {Passing: n, All: n}, "postgres": {Passing: n, All: n}}
}

// What runs as the definition says is drawn as the definition is.
func TestNothingIsMarkedWhereNothingDiffers(t *testing.T) {
	def, rules := small()
	g := graph.Of(def)
	if err := g.Mark(explain.Definition{Definition: def}, graph.Running{Prefix: prefix, Rules: rules, Healthy: all(2)}); err != nil {
		t.Fatal(err)
	}
	if got, want := g.Mermaid(), graph.Of(def).Mermaid(); got != want {
		t.Errorf("it is drawn\n%s\nwant\n%s", got, want)
	}
}

// marked is a picture with each kind of mark, and with names that mean something to each format.
func marked(t *testing.T) *graph.Graph {
	t.Helper()
	def, rules := small()
	end := rules["end"].Own
	end.Sources = append(end.Sources, &api.SourceIntention{Name: `"]; evil --> <b>&\`, Action: api.IntentionActionAllow})
	shop := slices.IndexFunc(end.Sources, func(s *api.SourceIntention) bool { return s.Name == prefix+"shop" })
	end.Sources[shop].Permissions = append([]*api.IntentionPermission{{
		Action: api.IntentionActionDeny, HTTP: &api.IntentionHTTPPermission{PathExact: "/end.v1.End/Take"},
	}}, end.Sources[shop].Permissions...)
	end.Meta["denied "+prefix+"shop /end.v1.End/Take"] = "2026-11-28T21:00:00Z by ada@desk: it floods"
	rules["postgres"].Own = nil
	rules["shop"].Own.Sources = append(rules["shop"].Own.Sources,
		&api.SourceIntention{Name: "door", Action: api.IntentionActionAllow}, // somebody else's of a name like ours
		&api.SourceIntention{Name: prefix + "end", Action: api.IntentionActionAllow})
	healthy := all(2)
	healthy["shop"], healthy["end"] = graph.Health{Passing: 1, All: 2}, graph.Health{}
	g := graph.Of(def)
	if err := g.Mark(explain.Definition{Definition: def}, graph.Running{Prefix: prefix, Rules: rules, Healthy: healthy, Drift: []drift.Difference{
		{Kind: drift.Changed, Entry: "service-intentions/x-end"}, {Kind: drift.Missing, Entry: "service-intentions/x-postgres"},
		{Kind: drift.Extra, Entry: "proxy-defaults/global"},
	}}); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestWhatDiffersIsMarked(t *testing.T) {
	g := marked(t)
	var said []string
	for _, n := range g.Nodes {
		said = append(said, fmt.Sprintf("%s %s %q", n.Name, n.Kind, n.Marks))
	}
	for _, a := range g.Arrows {
		if len(a.Marks) > 0 {
			said = append(said, fmt.Sprintf("%s -> %s %q denied %v extra %v", a.From, a.To, a.Marks, a.Denied, a.Extra))
		}
	}
	for _, want := range []string{
		`REST clients outside []`, `door edge []`, `shop service ["1 of 2 healthy"]`, `end service ["no instance" "service-intentions changed"]`,
		`postgres backing ["service-intentions missing"]`, `door (not ours) stranger []`,
		`shop -> end ["1 denied by hand"] denied true extra false`, `shop -> postgres ["denied by drift"] denied true extra false`,
		`end -> shop ["allowed by drift"] denied false extra true`, `door (not ours) -> shop ["allowed by drift"] denied false extra true`,
		`"]; evil --> <b>&\ -> end ["2 allowed by drift"] denied false extra true`,
	} {
		if i := slices.Index(said, want); i < 0 {
			t.Errorf("it does not say %s:\n%s", want, strings.Join(said, "\n"))
		} else {
			said = slices.Delete(said, i, i+1)
		}
	}
	if len(said) != 1 { // who is evil has a node, too
		t.Errorf("it says more: %s", strings.Join(said, "\n"))
	}
	if len(g.Notes) != 1 || g.Notes[0] != "proxy-defaults/global extra" {
		t.Errorf("the notes are %q", g.Notes)
	}
}

// The formats are what they were, and no name of somebody else's means anything in them.
func TestFormats(t *testing.T) {
	g := marked(t)
	golden.Check(t, "marked.mmd", g.Mermaid())
	golden.Check(t, "marked.dot", g.DOT())
	golden.Check(t, "marked.svg", g.SVG())
	d, texts := xml.NewDecoder(strings.NewReader(g.SVG())), 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the image is no XML: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
			texts++
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "b" {
			t.Error("a name has made an element")
		}
	}
	if texts < len(g.Nodes)+len(g.Arrows) {
		t.Errorf("%d texts for %d nodes and %d arrows", texts, len(g.Nodes), len(g.Arrows))
	}
}
