package archtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	maxMainLines    = 40
	maxProductLines = 300
	maxTestLines    = 500

	// Half and nine tenths of the product's files have no more lines than these.
	medianLines = 90
	mostLines   = 190
)

var refusedNames = regexp.MustCompile(`^(utils?|commons?|shared|helpers?|misc)(_test)?$`)

func TestSizesAndNames(t *testing.T) {
	root := os.DirFS("../..")
	var product []int
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
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		if generated.Match(text) {
			return nil
		}
		if !forTests(name) {
			product = append(product, bytes.Count(text, []byte("\n")))
		}
		for _, complaint := range complaints(name, text) {
			t.Error(complaint)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(product) < 20 {
		t.Fatalf("only %d Go files found: the walk looks in the wrong place", len(product))
	}
	if median, most := spread(product); median > medianLines || most > mostLines {
		t.Errorf("half of the product's files have up to %d lines and nine tenths up to %d: want %d and %d", median, most, medianLines, mostLines)
	}
}

// generated marks a file that nobody reads from end to end, in the words of `go help generate`.
var generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// forTests says whether a file is linked into no program: a test, or what tests are made of
// (internal/testkit, the packages whose name ends in "test", the suites and the probe in test/).
// Such files hold cases, and may be as long as tests. All others are the product.
func forTests(name string) bool {
	dir := path.Dir(name)
	return strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "internal/testkit/") ||
		strings.HasSuffix(dir, "test")
}

// spread returns the longest file of the shorter half, and of the shorter nine tenths.
func spread(lines []int) (median, most int) {
	slices.Sort(lines)
	return lines[(len(lines)-1)/2], lines[(len(lines)*9-1)/10]
}

// eachFile reads every file of the project that a name is wanted of, with slashes and from the
// root.
func eachFile(t *testing.T, wanted func(name string) bool, read func(name string, text []byte)) {
	t.Helper()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && skipped(name):
			return fs.SkipDir
		case d.IsDir() || !wanted(name):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err == nil {
			read(name, text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
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
	most := maxProductLines
	if forTests(name) {
		most = maxTestLines
	}
	if lines > most {
		found = append(found, fmt.Sprintf("%s: more than %d lines; split it by what its parts own", name, most))
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
		{"internal/pg/pool.go", 300, 0},
		{"internal/pg/pool.go", 301, 1},
		{"internal/pg/pool_test.go", 500, 0},
		{"internal/pg/pool_test.go", 501, 1},
		{"internal/testkit/pgtest/pgtest.go", 301, 0},
		{"services/auth/internal/login/logintest/logintest.go", 301, 0},
		{"test/probe/probe.go", 501, 1},
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

func TestSpread(t *testing.T) {
	cases := []struct {
		lines        []int
		median, most int
	}{
		{[]int{7}, 7, 7},
		{[]int{3, 1, 2}, 2, 3},
		{[]int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}, 5, 9},
	}
	for _, c := range cases {
		if median, most := spread(c.lines); median != c.median || most != c.most {
			t.Errorf("spread of %v: %d and %d, want %d and %d", c.lines, median, most, c.median, c.most)
		}
	}
}
