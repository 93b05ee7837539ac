package archtest

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// lists are the files in which a program says what starts and stops when, and the one that makes
// hooks of it. A constructor that is given the lifecycle would hide a start.
func lists() []string {
	return []string{"internal/fxmod/parts.go", "internal/fxmod/service/service.go", "gateway/internal/app/order.go"}
}

// Constructors start nothing: nobody else gets hold of the lifecycle.
func TestOneListSaysWhatStarts(t *testing.T) {
	root := os.DirFS("../..")
	var found []string
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if strings.Contains(string(text), "fx.Lifecycle") || strings.Contains(string(text), "fx.Hook") {
			found = append(found, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range found {
		if !slices.Contains(lists(), name) {
			t.Errorf("%s takes part in the lifecycle by itself: return a fxmod.Part and put it into a list of %s", name, strings.Join(lists(), ", "))
		}
	}
	for _, name := range lists() {
		if !slices.Contains(found, name) {
			t.Errorf("%s does not say any more what starts: the test looks in the wrong place", name)
		}
	}
}
