package mesh_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func world() *mesh.Definition {
	return &mesh.Definition{
		Programs: []mesh.Program{{Name: "gateway", Edge: true}, {Name: "shop"}, {Name: "stock"}},
		Backings: []mesh.Backing{{Name: "postgres", Callers: []string{"shop"}}},
		Methods: []mesh.Method{
			{Path: "/shop.v1.Shop/Buy", Callee: "shop", Callers: []string{"gateway"}},
			{Path: "/stock.v1.Stock/Take", Callee: "stock", Callers: []string{"shop"}},
		},
	}
}

func TestCellsAreEveryProgramAgainstEverything(t *testing.T) {
	cells := world().Cells()
	if len(cells) != 3*3 {
		t.Errorf("%d cells, want 9", len(cells))
	}
	var allowed []string
	for _, cell := range cells {
		if cell.Allowed {
			allowed = append(allowed, cell.String())
		}
	}
	if want := []string{"shop -> postgres", "gateway -> /shop.v1.Shop/Buy", "shop -> /stock.v1.Stock/Take"}; !slices.Equal(allowed, want) {
		t.Errorf("allowed %q, want %q", allowed, want)
	}
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name           string
		change         func(*mesh.Definition)
		allowed, taken []string
		counts         [3]int // still allowed, still denied, new and denied
	}{
		{name: "nothing", change: func(*mesh.Definition) {}, counts: [3]int{3, 6, 0}},
		{
			name: "consent", change: func(d *mesh.Definition) { d.Methods[1].Callers = []string{"gateway", "shop"} },
			allowed: []string{"gateway -> /stock.v1.Stock/Take"}, counts: [3]int{3, 5, 0},
		},
		{
			name: "withdrawal", change: func(d *mesh.Definition) { d.Backings[0].Callers = nil },
			taken: []string{"shop -> postgres"}, counts: [3]int{2, 6, 0},
		},
		{
			name: "method renamed", change: func(d *mesh.Definition) { d.Methods[1].Path = "/stock.v1.Stock/Fetch" },
			allowed: []string{"shop -> /stock.v1.Stock/Fetch"}, taken: []string{"shop -> /stock.v1.Stock/Take"}, counts: [3]int{2, 4, 2},
		},
		{
			name: "program gone", change: func(d *mesh.Definition) { d.Programs = d.Programs[1:] },
			taken: []string{"gateway -> /shop.v1.Shop/Buy"}, counts: [3]int{2, 4, 0},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			head := world()
			c.change(head)
			diff := mesh.Compare(world(), head)
			if got := names(diff.Allowed); !slices.Equal(got, c.allowed) {
				t.Errorf("newly allowed %q, want %q", got, c.allowed)
			}
			if got := names(diff.Taken); !slices.Equal(got, c.taken) {
				t.Errorf("taken away %q, want %q", got, c.taken)
			}
			if got := [3]int{diff.Still, diff.Denied, diff.New}; got != c.counts {
				t.Errorf("still allowed, still denied, new and denied: %v, want %v", got, c.counts)
			}
			if diff.Empty() != (len(c.allowed)+len(c.taken) == 0) {
				t.Errorf("Empty() = %v", diff.Empty())
			}
		})
	}
}

func TestRenderings(t *testing.T) {
	head := world()
	head.Methods[1].Callers = []string{"gateway"}
	head.Backings[0].Callers = nil
	diff := mesh.Compare(world(), head)
	var text, markdown bytes.Buffer
	if err := diff.Text(&text); err != nil {
		t.Fatal(err)
	}
	if want := `+ gateway -> /stock.v1.Stock/Take
- shop -> postgres
- shop -> /stock.v1.Stock/Take
1 newly allowed, 2 taken away; 1 stay allowed, 5 stay denied, 0 new and denied.
Before a roll: what is newly allowed or given (1). New instances need it from their start.
After a roll: what is taken away (2). Old instances use it until they are gone.
`; text.String() != want {
		t.Errorf("text:\n%s\nwant:\n%s", &text, want)
	}
	if err := diff.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| gateway | stock | `/stock.v1.Stock/Take` |", "| shop | postgres | `connection` |",
		"Before a roll: what is newly allowed or given (1). New instances need it from their start.",
		"After a roll: what is taken away (2). Old instances use it until they are gone.",
	} {
		if !strings.Contains(markdown.String(), line+"\n") {
			t.Errorf("no line %s in:\n%s", line, &markdown)
		}
	}
	markdown.Reset()
	if err := mesh.Compare(head, head).Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(markdown.String(), "Nothing is newly allowed or taken away.") {
		t.Errorf("markdown of no change:\n%s", &markdown)
	}
}

// Whom a method admits beside programs is part of what a review must see: not only a new method,
// also another rule of an old one.
func TestCompareAccess(t *testing.T) {
	base, head := world(), world()
	head.Methods[0].Access = []string{"whoever is signed in"}
	if diff := mesh.Compare(base, head); !diff.Empty() { // the base was generated before access was stated
		t.Errorf("of what the base does not state: %q, %q", diff.Granted, diff.Revoked)
	}
	base.Methods[0].Access = []string{"whoever has can_buy on the shop that id names"}
	diff := mesh.Compare(base, head)
	if want := []string{"/shop.v1.Shop/Buy admits whoever is signed in"}; !slices.Equal(diff.Granted, want) {
		t.Errorf("newly given %q, want %q", diff.Granted, want)
	}
	if want := []string{"/shop.v1.Shop/Buy admits whoever has can_buy on the shop that id names"}; !slices.Equal(diff.Revoked, want) {
		t.Errorf("taken away %q, want %q", diff.Revoked, want)
	}
}

// Every rule of the contracts has words of its own, so that no change of one stays unseen.
func TestDerivedAccessTellsRulesApart(t *testing.T) {
	c := meshtest.Contract(t)
	said := map[string]contract.Access{}
	for _, m := range mesh.Derive(c).Methods {
		of, _ := c.Method(m.Path)
		if len(m.Access) != len(of.Access) || len(m.Access) == 0 {
			t.Errorf("%s: %q for %v", m.Path, m.Access, of.Access)
		}
		if len(of.Access) != 1 {
			continue
		}
		if other, known := said[m.Access[0]]; known && other != of.Access[0] {
			t.Errorf("%q is said of %v and of %v", m.Access[0], other, of.Access[0])
		}
		said[m.Access[0]] = of.Access[0]
	}
	if len(said) < 4 {
		t.Errorf("only %d rules: %v", len(said), said)
	}
}

func names(cells []mesh.Cell) []string {
	var all []string
	for _, cell := range cells {
		all = append(all, cell.String())
	}
	return all
}
