package archtest

import (
	"cmp"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	diff "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write anew what is generated from the options of programs")

// Where the table of variables stands in the README.
const (
	tableBegin = "<!-- variables:begin, written by make generate -->\n"
	tableEnd   = "<!-- variables:end -->"
)

// option is one variable that a program reads, as its option group declares it.
type option struct {
	file, name, value, help string
	secret                  bool
}

// The README's configuration table has exactly the variables that programs read, with the words of
// their help.
func TestReadmeListsEveryVariable(t *testing.T) {
	const file = "../../README.md"
	readme, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, began := strings.Cut(string(readme), tableBegin)
	got, after, ended := strings.Cut(rest, tableEnd)
	if !began || !ended {
		t.Fatal("README.md has no table of variables")
	}
	options := read(t)
	if len(options) < 40 {
		t.Fatalf("only %d options found: the walk looks in the wrong place", len(options))
	}
	want := table(options)
	if *update {
		if err := os.WriteFile(file, []byte(before+tableBegin+want+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := diff.Diff(want, got); d != "" {
		t.Errorf("README.md does not list what programs read: run make generate (-want +got):\n%s", d)
	}
}

// The control: what is the same twice is one row, what several programs read differently names
// both.
func TestTableOfVariables(t *testing.T) {
	got := table([]option{
		{file: "services/shop/internal/app/config.go", name: "GATEHOUSE_SHOP_KEY", help: "Key of the shop.", secret: true},
		{file: "internal/pg/pg.go", name: "GATEHOUSE_POSTGRES_URL", help: "Database. Prefer the _FILE variable: a command line is public.", secret: true},
		{file: "cmd/gatehouse/internal/cli/up.go", name: "GATEHOUSE_POSTGRES_URL", help: "A server of your own."},
		{file: "cmd/gatehouse/internal/cli/down.go", name: "GATEHOUSE_POSTGRES_URL", help: "A server of your own."},
		{file: "internal/mesh/config.go", name: "GATEHOUSE_MESH_PORT", value: "1", help: "Port."},
		{file: "cmd/gatehouse/internal/cli/up.go", name: "GATEHOUSE_MESH_PORT", value: "1", help: "Port."},
	})
	want := `| variable | default | what |
|---|---|---|
| **All programs** | | |
| ` + "`GATEHOUSE_MESH_PORT` | `1`" + ` | Port |
| **Services with a database** | | |
| ` + "`GATEHOUSE_POSTGRES_URL`" + ` * |  | Database; for ` + "`gatehouse`" + `: a server of your own |
| **Shop** | | |
| ` + "`GATEHOUSE_SHOP_KEY`" + ` * |  | Key of the shop |
`
	if d := diff.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// read finds every field of a struct with a variable.
func read(t *testing.T) []option {
	t.Helper()
	root := os.DirFS("../..")
	var options []option
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (skipped(name) || name == "test" || name == "tools"):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil || !strings.Contains(string(text), `env:"GATEHOUSE_`) {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && field.Tag != nil {
				options = append(options, optionsOf(name, field)...)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return options
}

// optionsOf is the variable of a field, if it has one.
func optionsOf(file string, field *ast.Field) []option {
	text, err := strconv.Unquote(field.Tag.Value)
	tag := reflect.StructTag(text)
	if name := tag.Get("env"); err != nil || !strings.HasPrefix(name, "GATEHOUSE_") {
		return nil
	}
	o := option{file: file, name: tag.Get("env"), value: tag.Get("default"), help: tag.Get("help")}
	switch kind := field.Type.(type) {
	case *ast.Ident:
		if kind.Name == "bool" {
			o.value = cmp.Or(o.value, "false")
		}
	case *ast.SelectorExpr:
		o.secret = kind.Sel.Name == "Secret"
	}
	return []option{o}
}

// section is the part of the table where an option stands, by the folder that declares it, with its
// place among the others.
func section(file string) (title string, order int) {
	parts := strings.Split(file, "/")
	switch {
	case strings.HasPrefix(file, "internal/pg/"):
		return "Services with a database", 1
	case parts[0] == "internal":
		return "All programs", 0
	case parts[0] == "services":
		return strings.ToUpper(parts[1][:1]) + parts[1][1:], 2
	case parts[0] == "cmd":
		return "The `" + parts[1] + "` command", 4
	}
	return strings.ToUpper(parts[0][:1]) + parts[0][1:], 3
}

// table is the Markdown of all options.
func table(options []option) string {
	slices.SortStableFunc(options, func(a, b option) int {
		first, i := section(a.file)
		second, j := section(b.file)
		return cmp.Or(cmp.Compare(i, j), strings.Compare(first, second), strings.Compare(a.name, b.name))
	})
	var b strings.Builder
	b.WriteString("| variable | default | what |\n|---|---|---|\n")
	title := ""
	for i, o := range options {
		if slices.ContainsFunc(options[:i], func(earlier option) bool { return earlier.name == o.name }) {
			continue
		}
		if next, _ := section(o.file); next != title {
			title = next
			fmt.Fprintf(&b, "| **%s** | | |\n", title)
		}
		b.WriteString(o.row(options[i+1:]))
	}
	return b.String()
}

// row is the line of an option; others may declare it too.
func (o option) row(others []option) string {
	what, star, value := sentence(o.help), "", ""
	for _, other := range others {
		if other.name == o.name && other.help != o.help {
			reader := strings.Split(other.file, "/")[1]
			text := sentence(other.help)
			if also := "; for `" + reader + "`: " + strings.ToLower(text[:1]) + text[1:]; !strings.Contains(what, also) {
				what += also
			}
		}
	}
	if o.secret {
		star = " *"
	}
	if o.value != "" {
		value = "`" + o.value + "`"
	}
	return fmt.Sprintf("| `%s`%s | %s | %s |\n", o.name, star, value, what)
}

// sentence is a help text without its full stop and without what only concerns command lines.
func sentence(help string) string {
	help, _, _ = strings.Cut(help, " Prefer the ")
	return strings.TrimSuffix(help, ".")
}
