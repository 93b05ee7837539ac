package archtest

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

const (
	maxFileLines = 500
	maxMainLines = 40
)

var refusedNames = regexp.MustCompile(`^(utils?|commons?|shared|helpers?|misc)(_test)?$`)

func TestSizesAndNames(t *testing.T) {
	root := os.DirFS("../..")
	files := 0
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(name) {
				return fs.SkipDir
			}
			if refusedNames.MatchString(d.Name()) {
				t.Errorf("%s: name the folder for what it owns", name)
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		files++
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		for _, complaint := range complaints(name, text) {
			t.Error(complaint)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d Go files found: the walk looks in the wrong place", files)
	}
}

// skipped are folders whose Go files are not written by hand, or not ours.
func skipped(dir string) bool {
	name := path.Base(dir)
	return dir != "." && strings.HasPrefix(name, ".") || strings.HasSuffix(dir, "proto/gen") || name == "testdata" || name == "node_modules"
}

// complaints says what is wrong with the size or the name of a Go file.
func complaints(name string, text []byte) []string {
	var found []string
	lines := bytes.Count(text, []byte("\n"))
	if lines > maxFileLines {
		found = append(found, name+": more than 500 lines; split it by what its parts own")
	}
	if path.Base(name) == "main.go" && lines > maxMainLines {
		found = append(found, name+": more than 40 lines; main parses the verb and runs the app")
	}
	if refusedNames.MatchString(strings.TrimSuffix(path.Base(name), ".go")) {
		found = append(found, name+": name the file for what it holds")
	}
	return found
}

// The control: each size and name is refused, one below passes.
func TestComplaints(t *testing.T) {
	cases := []struct {
		name  string
		lines int
		want  int
	}{
		{"internal/pg/pool.go", 500, 0},
		{"internal/pg/pool.go", 501, 1},
		{"services/auth/cmd/auth/main.go", 40, 0},
		{"services/auth/cmd/auth/main.go", 41, 1},
		{"internal/pg/utils.go", 1, 1},
		{"internal/pg/helpers_test.go", 1, 1},
	}
	for _, c := range cases {
		if got := complaints(c.name, bytes.Repeat([]byte("\n"), c.lines)); len(got) != c.want {
			t.Errorf("%s of %d lines: %v, want %d complaints", c.name, c.lines, got, c.want)
		}
	}
}
