package archtest

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// reasonRows are every reason of the kernel and of the contracts, as "PROGRAM REASON KIND STATUS";
// the kernel's program is "-".
func reasonRows(t *testing.T) []string {
	t.Helper()
	var rows []string
	add := func(program string, e *apierr.Error) {
		rows = append(rows, strings.Join([]string{program, e.Reason, e.Kind.String(), strconv.Itoa(e.Status())}, " "))
	}
	for _, e := range apierr.Kernel() {
		add("-", e)
	}
	c := meshtest.Contract(t)
	for _, p := range c.Programs {
		for _, r := range p.Reasons {
			add(p.Name, r.Error())
		}
	}
	return rows
}

// Clients match on reasons: none goes, and none changes its kind or status. What a release adds is
// added to the list.
func TestReasonsStay(t *testing.T) {
	text, err := os.ReadFile("testdata/reasons.txt")
	if err != nil {
		t.Fatal(err)
	}
	now := reasonRows(t)
	known := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		known++
		if !slices.Contains(now, line) {
			t.Errorf("%q is not in the tables of reasons any more", line)
		}
	}
	if known < 80 {
		t.Fatalf("only %d reasons are held", known)
	}
}

// Every reason has a page, which is what the type of its problem documents names.
func TestReasonsHavePages(t *testing.T) {
	pages := map[string]bool{}
	entries, err := os.ReadDir("../../docs/problems")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pages[e.Name()] = e.Name() != "README.md"
	}
	delete(pages, "README.md")
	for _, row := range reasonRows(t) {
		reason := strings.Fields(row)[1]
		name := apierr.Slug(reason) + ".md"
		text, err := os.ReadFile("../../docs/problems/" + name)
		if err != nil || !strings.Contains(string(text), apierr.TypeBase+apierr.Slug(reason)) {
			t.Errorf("%s has no page: run make generate (%v)", reason, err)
		}
		delete(pages, name)
	}
	for name := range pages {
		t.Errorf("docs/problems/%s is of no reason", name)
	}
}

// outside are the places that make errors, or spell reasons, and are not the table.
func outside(name string) bool {
	return path.Ext(name) == ".go" && !forTests(name) && !strings.HasPrefix(name, "internal/apierr/") &&
		name != "internal/contract/reasons.go" && // makes what contracts state
		name != "internal/rpcstatus/rpcstatus.go" && // reads what another program stated
		name != "cmd/protoc-gen-gatehouse/reasons.go" // writes it
}

// A reason is spelt once, in a table: the kernel's (internal/apierr) or its program's contract.
func TestReasonsAreFromTheTables(t *testing.T) {
	known := map[string]bool{}
	for _, row := range reasonRows(t) {
		known[strings.Fields(row)[1]] = true
	}
	files := 0
	eachFile(t, outside, func(name string, text []byte) {
		files++
		for _, found := range literalReasons(t, name, string(text), known) {
			t.Errorf("%s: %s", name, found)
		}
	})
	if files < 200 {
		t.Fatalf("only %d files found: the walk looks in the wrong place", files)
	}
}

// literalReasons are the errors that a file makes past the tables, and the reasons that it spells.
func literalReasons(t *testing.T, name, text string, known map[string]bool) []string {
	t.Helper()
	var found []string
	inspect(t, name, text, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if of(n.Fun, "apierr", "New") {
				found = append(found, "apierr.New makes an error past the table: state the reason in the contract, or in internal/apierr, and use its constructor")
			}
		case *ast.CompositeLit:
			if of(n.Type, "apierr", "Error") && len(n.Elts) > 0 {
				found = append(found, "apierr.Error is made by hand: use a constructor")
			}
		case *ast.BasicLit:
			if value, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && known[value] {
				found = append(found, "the reason "+value+" is spelt: use its constructor")
			}
		}
		return true
	})
	return found
}

func of(e ast.Expr, pkg, name string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	ident, ok := selector.X.(*ast.Ident)
	return ok && ident.Name == pkg
}

// The control: each way past the tables is found.
func TestLiteralReasonsAreFound(t *testing.T) {
	known := map[string]bool{"EMAIL_TAKEN": true}
	for text, want := range map[string]int{
		`var e = apierr.New(apierr.NotFound, "X_NOT_FOUND", "x")`:     1,
		`var e = apierr.New(apierr.NotFound, "EMAIL_TAKEN", "x")`:     2,
		`var e = &apierr.Error{Kind: apierr.NotFound}`:                1,
		"func f(s string) bool { return s == `EMAIL_TAKEN` }":         1,
		`var e = reason.EmailTaken().Saying("EMAIL_TAKEN, as it is")`: 0,
		"func f(e *apierr.Error) *apierr.Error { return e }":          0,
	} {
		if got := literalReasons(t, "x.go", "package x\n"+text, known); len(got) != want {
			t.Errorf("%s: found %q, want %d", text, got, want)
		}
	}
}
