package scaffold

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// migration is a line of the test that holds the hashes of released migrations.
type migration struct{ File, Hash string }

func migrationOf(name string, text []byte) migration {
	sum := sha256.Sum256(text)
	return migration{File: name, Hash: hex.EncodeToString(sum[:])}
}

// nameForm is that of a mesh name which is also a Go package, a proto package, a schema and a role
// without quotes.
var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]{1,19}$`)

// taken are names that mean something else: folders that Go, or this tree, keeps for another use,
// programs in the folder of the built ones, and the package of the template.
func taken() []string {
	return []string{"internal", "vendor", "testdata", "gen", "v1", "envoy", "buf", "gatehouse", "item"}
}

// keywords are the words that PostgreSQL takes for a schema in quotes only.
func keywords() []string {
	return strings.Fields(`
		all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
		column concurrently constraint create cross default deferrable desc distinct do else end except false fetch for
		foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
		left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps placing
		primary references returning right select similar some symmetric table tablesample then to trailing true union
		unique user using variadic verbose when where window with`)
}

// check refuses a name that cannot be, and a checkout in which what is new could not be told from
// what is there.
func check(root, name string) error {
	switch {
	case !nameForm.MatchString(name):
		return fmt.Errorf("%q cannot be the name of a service: use 2 to 20 lower-case letters and digits, a letter first", name)
	case token.IsKeyword(name) || slices.Contains(keywords(), name) || slices.Contains(taken(), name) || contract.Reserved(name):
		return fmt.Errorf("the name %q means something else in Go, SQL or Gatehouse: choose another one", name)
	}
	for _, path := range []string{"services/" + name, "proto/gatehouse/" + name, "proto/gen/go/gatehouse/" + name, "nomad/jobs/" + name + ".nomad.hcl"} {
		if _, err := os.Lstat(filepath.Join(root, path)); err == nil {
			return fmt.Errorf("%s exists already: choose another name, or remove it", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for %s: %w", path, err)
		}
	}
	// A package that is named like a program is what its service makes of that program, and may
	// import its clients (internal/archtest).
	if packages, err := fs.Glob(os.DirFS(root), "services/*/internal/"+name); err == nil && len(packages) > 0 {
		return fmt.Errorf("the name %q is that of a package (%s): choose another one", name, packages[0])
	}
	return checkLiterals(root, name)
}

// checkLiterals refuses a name that is a literal of what serves all programs: internal/archtest
// would take it for knowledge of the new one.
func checkLiterals(root, name string) error {
	literal := regexp.MustCompile(`[^:]"` + name + `"`) // not in the tag of a field
	elsewhere := []string{"services", "proto", "test", "testdata", "testkit"}
	tree := os.DirFS(root)
	return fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("look for the name in the code: %w", err)
		case entry.IsDir() && (slices.Contains(elsewhere, entry.Name()) || len(path) > 1 && path[0] == '.'):
			return fs.SkipDir
		case entry.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, path)
		if err == nil && literal.Match(text) {
			err = fmt.Errorf("the name %q is a literal in %s, which would seem to know the service: choose another one", name, path)
		}
		return err
	})
}

var portOption = regexp.MustCompile(`(?m)^\s*port:\s*(\d+)`)

// freePort is the lowest port that no contract in the checkout has.
func freePort(root string) (int, error) {
	protos, err := filepath.Glob(filepath.Join(root, "proto", "gatehouse", "*", "*", "*.proto"))
	if err != nil || len(protos) == 0 {
		return 0, fmt.Errorf("%s holds no contracts: run this inside a checkout of Gatehouse", filepath.Join(root, "proto", "gatehouse"))
	}
	used := map[int]bool{}
	for _, path := range protos {
		text, err := os.ReadFile(path)
		if err != nil {
			return 0, fmt.Errorf("read the contracts: %w", err)
		}
		for _, match := range portOption.FindAllSubmatch(text, -1) {
			port, _ := strconv.Atoi(string(match[1])) // digits
			used[port] = true
		}
	}
	last := mesh.FirstPort + mesh.BackingSlot - 1
	for port := mesh.FirstPort; port <= last; port++ {
		if !used[port] {
			return port, nil
		}
	}
	return 0, fmt.Errorf("every port from %d to %d belongs to a program: the layout of one machine has no room for another", mesh.FirstPort, last)
}
