package mesh_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
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
`; text.String() != want {
		t.Errorf("text:\n%s\nwant:\n%s", &text, want)
	}
	if err := diff.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"| gateway | stock | `/stock.v1.Stock/Take` |", "| shop | postgres | `connection` |"} {
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

func names(cells []mesh.Cell) []string {
	var all []string
	for _, cell := range cells {
		all = append(all, cell.String())
	}
	return all
}
