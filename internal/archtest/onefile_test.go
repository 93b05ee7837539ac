package archtest

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oneFile is a row of the table of packages that have one file: its path and its reason.
var oneFile = regexp.MustCompile("(?m)^\\| `([a-z][a-z/*]+)` \\| [^|]{10,} \\|$")

// Packages are few and full: one that has a single file is listed with its reason, and what is
// listed has one. A row whose path has stars stands for all packages of that kind.
func TestPackagesOfOneFileAreListedWithTheirReason(t *testing.T) {
	root := os.DirFS("../..")
	page, err := fs.ReadFile(root, "docs/architecture/packages.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n## One file\n")
	listed := map[string]bool{}
	var kinds []string
	for _, row := range oneFile.FindAllStringSubmatch(table, -1) {
		if strings.Contains(row[1], "*") {
			kinds = append(kinds, row[1])
		}
		listed[row[1]] = true
	}
	if len(listed) < 10 || len(kinds) == 0 {
		t.Fatalf("the table has only %d rows that this test can read, %d of them with stars", len(listed), len(kinds))
	}
	ofKind := func(dir string) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { ok, _ := path.Match(kind, dir); return ok })
	}
	packages := productFiles(t, root)
	for dir, files := range packages {
		excepted := dir == "cmd/gatehouse" || path.Base(path.Dir(dir)) == "cmd" || path.Base(dir) == "migrations"
		if files == 1 && !excepted && !listed[dir] && !ofKind(dir) {
			t.Errorf("%s has one file: put it where it is used, or list it in docs/architecture/packages.md with the reason", dir)
		}
	}
	for dir := range listed {
		if files := packages[dir]; files != 1 && !strings.Contains(dir, "*") {
			t.Errorf("docs/architecture/packages.md says that %s has one file: it has %d", dir, files)
		}
	}
}

// productFiles counts the files of each package that are not tests and not generated.
func productFiles(t *testing.T, root fs.FS) map[string]int {
	t.Helper()
	files := map[string]int{}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (skipped(name) || name == "tools" || path.Base(name) == "gen"):
			return fs.SkipDir
		case !d.IsDir() && path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go"):
			files[path.Dir(name)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
