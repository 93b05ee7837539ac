package graph_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/graph"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

var update = flag.Bool("update", false, "draw the mesh in the documents anew")

// Where the picture stands in a document.
const (
	begin = "<!-- mesh:begin (make generate) -->\n"
	end   = "<!-- mesh:end -->"
)

// The documents have the picture of the mesh that the contracts state.
func TestTheDocumentsShowTheMesh(t *testing.T) {
	want := "```mermaid\n" + graph.Of(meshtest.Definition(t)).Mermaid() + "```\n"
	for _, name := range []string{"README.md", "docs/architecture/overview.md"} {
		file := filepath.Join("../../../..", name)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, began := strings.Cut(string(text), begin)
		got, after, ended := strings.Cut(rest, end)
		if !began || !ended {
			t.Errorf("%s has no picture of the mesh", name)
			continue
		}
		if *update {
			if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s does not show what the contracts state: run make generate (-want +got):\n%s", name, d)
		}
	}
}
