package archtest

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	optionTag = regexp.MustCompile(`env:"(GATEHOUSE_[A-Z0-9_]+)"`)
	tableRow  = regexp.MustCompile("(?m)^\\| `(GATEHOUSE_[A-Z0-9_]+)`( \\*)? \\|")
)

// The README's configuration table has exactly the variables that programs read.
func TestReadmeListsEveryVariable(t *testing.T) {
	root := os.DirFS("../..")
	read := map[string]string{} // variable to the file that reads it
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (skipped(name) || name == "test"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		for _, m := range optionTag.FindAllSubmatch(text, -1) {
			read[string(m[1])] = name
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	readme, err := fs.ReadFile(root, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range tableRow.FindAllSubmatch(readme, -1) {
		listed[string(m[1])] = true
	}
	if len(listed) < 20 {
		t.Fatalf("the table has only %d rows that this test can read", len(listed))
	}
	for _, name := range slices.Sorted(maps.Keys(read)) {
		if !listed[name] {
			t.Errorf("README.md does not list %s, which %s reads", name, read[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if read[name] == "" {
			t.Errorf("README.md lists %s, which nothing reads", name)
		}
	}
}
