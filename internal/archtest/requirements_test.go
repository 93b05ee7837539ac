package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// requirement is a number, or a range of them with its last number: R33, R41–R49, R41 to R46.
var requirement = regexp.MustCompile(`\bR(\d+)(?:(?:-|–| to )R?(\d+))?\b`)

// Every requirement that a comment of a test names stands in the page on security, which says what
// holds and what is open.
func TestRequirementsOfTestsStandInTheSecurityPage(t *testing.T) {
	root := os.DirFS("../..")
	page, err := fs.ReadFile(root, "docs/architecture/security.md")
	if err != nil {
		t.Fatal(err)
	}
	written := requirements(string(page))
	named := namedByTests(t)
	if len(named) < 40 {
		t.Fatalf("only %d requirements found: the walk looks in the wrong place", len(named))
	}
	for number, file := range named {
		if !slices.Contains(written, number) {
			t.Errorf("%s names R%d, which docs/architecture/security.md does not: say there what holds", file, number)
		}
	}
}

// The control: single numbers, ranges in each form, and what only looks like a number.
func TestRequirements(t *testing.T) {
	got := requirements("R5 (R7–R9, R11-13) and R20 to R22, not AR30, R2D2, r31 or R")
	if want := []int{5, 7, 8, 9, 11, 12, 13, 20, 21, 22}; !slices.Equal(got, want) {
		t.Errorf("requirements = %v, want %v", got, want)
	}
}

// requirements returns the numbers in a text.
func requirements(text string) []int {
	var numbers []int
	for _, match := range requirement.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(match[1])
		last, err := strconv.Atoi(match[2])
		if err != nil {
			last = first
		}
		for n := first; n <= last; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// namedByTests returns the requirements that comments of tests name, each with a file that does.
func namedByTests(t *testing.T) map[int]string {
	t.Helper()
	named := map[int]string{}
	eachFile(t, func(name string) bool {
		return strings.HasSuffix(name, "_test.go") && path.Base(name) != "requirements_test.go"
	}, func(name string, text []byte) {
		if !requirement.Match(text) {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range requirements(commentsOf(file)) {
			named[number] = name
		}
	})
	return named
}

func commentsOf(file *ast.File) string {
	var b strings.Builder
	for _, group := range file.Comments {
		b.WriteString(group.Text() + "\n")
	}
	return b.String()
}
