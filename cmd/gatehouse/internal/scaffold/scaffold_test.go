package scaffold_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/scaffold"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// checkout is a folder with the contracts of programs on these ports.
func checkout(t *testing.T, ports ...int) string {
	t.Helper()
	root := t.TempDir()
	for _, port := range ports {
		put(t, root, fmt.Sprintf("proto/gatehouse/p%d/v1/p.proto", port), fmt.Sprintf("option (program) = {\n  name: \"p%d\"\n  port: %d\n};\n", port, port))
	}
	return root
}

func put(t *testing.T, root, path, text string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// files are all files of a folder, by path, with their content.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		all[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The real thing (make test-new-service) builds and runs what is written. Here: where, and that
// nothing of the templates is left.
func TestServiceWritesItsOwnFolders(t *testing.T) {
	root := checkout(t, 8080, 8081, 8083)
	before := files(t, root)
	written, err := scaffold.Service(root, "billing")
	if err != nil {
		t.Fatal(err)
	}
	after := files(t, root)
	for path, text := range before {
		if after[path] != text {
			t.Errorf("%s changed", path)
		}
	}
	if len(after) != len(before)+len(written) {
		t.Errorf("%d files more, told of %d", len(after)-len(before), len(written))
	}
	for _, path := range written {
		text := after[path]
		if !strings.HasPrefix(path, "services/billing/") && path != "proto/gatehouse/billing/v1/billing.proto" && path != "nomad/jobs/billing.nomad.hcl" {
			t.Errorf("%s is elsewhere", path)
		}
		if text == "" || strings.Contains(strings.ReplaceAll(text, "<<-JSON", ""), "<<") || strings.Contains(path+text, "NAME") || strings.Contains(text, "<no value>") {
			t.Errorf("%s is not filled in:\n%s", path, text)
		}
		if strings.HasSuffix(path, ".go") {
			if _, err := parser.ParseFile(token.NewFileSet(), path, text, parser.AllErrors); err != nil {
				t.Error(err)
			}
		}
	}
	if proto := after["proto/gatehouse/billing/v1/billing.proto"]; !strings.Contains(proto, "port: 8082\n") {
		t.Errorf("its port is not the lowest free one:\n%s", proto)
	}
	if !slices.Contains(written, "services/billing/cmd/billing/main.go") || !strings.Contains(after["services/billing/README.md"], "127.0.0.1:8482") {
		t.Errorf("wrote %v", written)
	}
	const folder = "services/billing/internal/postgres/migrations/"
	for _, name := range []string{"001_create_items.sql", "002_create_outbox.sql"} {
		sum := sha256.Sum256([]byte(after[folder+name]))
		if line := fmt.Sprintf("%q: %*s", name, 64+2, `"`+hex.EncodeToString(sum[:])+`"`); !strings.Contains(strings.Join(strings.Fields(after[folder+"hashes_test.go"]), " "), line) {
			t.Errorf("hashes_test.go does not hold %s", line)
		}
	}
}

// A refusal is one sentence that says what to do, and nothing is written.
func TestServiceRefuses(t *testing.T) {
	var all []int
	for port := 8080; port <= 8098; port++ {
		all = append(all, port)
	}
	existing := func(path string) func(*testing.T) string {
		return func(t *testing.T) string {
			root := checkout(t, 8080)
			put(t, root, path, "")
			return root
		}
	}
	plain := func(t *testing.T) string { return checkout(t, 8080) }
	for title, c := range map[string]struct {
		name string
		root func(*testing.T) string
		want string
	}{
		"no name":               {"", plain, "cannot be the name of a service: use"},
		"upper case":            {"Billing", plain, "cannot be the name of a service: use"},
		"a hyphen":              {"corner-shop", plain, "cannot be the name of a service: use"},
		"a digit first":         {"1st", plain, "cannot be the name of a service: use"},
		"one letter":            {"b", plain, "cannot be the name of a service: use"},
		"long":                  {"averyveryverylongname", plain, "cannot be the name of a service: use"},
		"a path":                {"../x", plain, "cannot be the name of a service: use"},
		"a keyword of Go":       {"func", plain, "means something else"},
		"a word of SQL":         {"table", plain, "means something else"},
		"an area of variables":  {"mesh", plain, "means something else"},
		"a folder of Go":        {"internal", plain, "means something else"},
		"a tool":                {"buf", plain, "means something else"},
		"its own package":       {"item", plain, "means something else"},
		"a domain of another":   {"login", existing("services/auth/internal/login/login.go"), "that of a package"},
		"another service":       {"billing", existing("services/billing/README.md"), "services/billing exists already"},
		"another contract":      {"billing", existing("proto/gatehouse/billing/v1/x.proto"), "proto/gatehouse/billing exists already"},
		"another job":           {"billing", existing("nomad/jobs/billing.nomad.hcl"), "nomad/jobs/billing.nomad.hcl exists already"},
		"another generated one": {"billing", existing("proto/gen/go/gatehouse/billing/x.go"), "proto/gen/go/gatehouse/billing exists already"},
		"a word of the kernel": {"report", func(t *testing.T) string {
			root := checkout(t, 8080)
			put(t, root, "internal/x/x.go", "package x\n\nconst a = \"report\"\n")
			return root
		}, "is a literal in internal/x/x.go"},
		"no port left": {"billing", func(t *testing.T) string { return checkout(t, all...) }, "every port from 8080 to 8098 belongs to a program"},
		"no checkout":  {"billing", func(t *testing.T) string { return t.TempDir() }, "run this inside a checkout of Gatehouse"},
	} {
		t.Run(title, func(t *testing.T) {
			root := c.root(t)
			before := files(t, root)
			_, err := scaffold.Service(root, c.name)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if after := files(t, root); len(after) != len(before) {
				t.Errorf("it wrote %v", after)
			}
		})
	}
}

// A field's tag, a part of a word and a test are not in the way.
func TestServiceTakesWordsThatOnlyLookLikeLiterals(t *testing.T) {
	root := checkout(t, 8080)
	put(t, root, "internal/x/x.go", "package x\n\ntype a struct { B int `json:\"report\"` }\n\nconst c = \"reports\"\n")
	put(t, root, "internal/x/x_test.go", "package x\n\nconst d = \"report\"\n")
	put(t, root, "cmd/x/testdata/x.go", "package x\n\nconst d = \"report\"\n")
	if _, err := scaffold.Service(root, "report"); err != nil {
		t.Error(err)
	}
}

// What PostgreSQL would not take for a schema without quotes is refused before anything is written.
func TestServiceRefusesTheWordsOfSQL(t *testing.T) {
	rows, err := pgtest.New(t, "words", nil).Query(t.Context(), "select word from pg_get_keywords() where catcode in ('R', 'T')")
	if err != nil {
		t.Fatal(err)
	}
	words, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(words) < 90 {
		t.Fatalf("only %q, %v", words, err)
	}
	root := checkout(t, 8080)
	for _, word := range words {
		if _, err := scaffold.Service(root, word); err == nil {
			t.Errorf("%s is the name of a service", word)
		}
	}
}
