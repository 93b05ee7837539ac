package archtest

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// example is a block of code with the file that it stands in.
var example = regexp.MustCompile("(?ms)^ *<!-- ([a-z0-9_./-]+) -->\n *```[a-z]+\n(.*?)^ *```$")

// The guides' examples are tried: each stands in a file of the tree, but for its indent.
func TestExamplesAreFromTheTree(t *testing.T) {
	for _, guide := range []string{"grpc.md", "api.md", "sign-in.md"} {
		t.Run(guide, func(t *testing.T) { fromTheTree(t, "../../docs/"+guide) })
	}
}

func fromTheTree(t *testing.T, path string) {
	t.Helper()
	guide, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := example.FindAllStringSubmatch(string(guide), -1)
	if len(found) == 0 || len(found)*2 != strings.Count(string(guide), "```") {
		t.Fatalf("%d examples with a file, %d fences", len(found), strings.Count(string(guide), "```"))
	}
	for _, f := range found {
		text, err := os.ReadFile("../../" + f[1])
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(flat(string(text)), flat(f[2])) {
			t.Errorf("%s does not have:\n%s", f[1], f[2])
		}
	}
}

// flat is a text without the indent of its lines.
func flat(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}
