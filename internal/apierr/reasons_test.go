package apierr_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Each constructor of the package is a row of the table, so that each reason has its page, and each
// row is well-formed.
func TestKernelHasEveryConstructor(t *testing.T) {
	made := 0
	for _, name := range []string{"reasons.go", "reasons_http.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name != "Kernel" && f.Name.Name != "ofHTTP" {
				made++
			}
		}
	}
	rows := map[string]bool{}
	for _, e := range apierr.Kernel() {
		row := e.Reason + " " + e.Kind.String()
		if rows[row] && e.HTTPStatus == 0 {
			t.Errorf("%s is there twice", row)
		}
		rows[row] = true
		if e.Reason == "" || e.Reason != strings.ToUpper(e.Reason) || e.Message == "" || strings.HasSuffix(e.Message, ".") || e.Status() < 400 || e.Status() > 599 {
			t.Errorf("%+v", e)
		}
	}
	if made == 0 || made != len(apierr.Kernel()) {
		t.Errorf("%d constructors, %d rows", made, len(apierr.Kernel()))
	}
}

func TestKinds(t *testing.T) {
	names := map[string]bool{}
	for _, k := range apierr.Kinds() {
		names[k.String()] = true
		if k.HTTPStatus() < 400 {
			t.Errorf("%s has HTTP status %d", k, k.HTTPStatus())
		}
	}
	if len(names) != 13 {
		t.Errorf("%d names of 13 kinds", len(names))
	}
}

// Copies leave what they were made of as it is: constructors' results are kept in variables.
func TestCopies(t *testing.T) {
	e := apierr.InvalidArgumentError()
	other := e.Saying("else").About("user").WithHTTPStatus(422).WithField("a", "b", "c")
	if e.Message == "else" || e.Subject != "" || e.HTTPStatus != 0 || len(e.Fields) != 0 {
		t.Errorf("changed to %+v", e)
	}
	if other.Message != "else" || other.Subject != "user" || other.Status() != 422 || len(other.Fields) != 1 || !other.Is(e) {
		t.Errorf("copied as %+v", other)
	}
}
