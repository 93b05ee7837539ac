package main

import (
	"path"
	"strconv"
	"strings"

	"google.golang.org/protobuf/compiler/protogen"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// generateReasons writes package reason of a program: one constructor for each of its reasons. It
// is apart from the generated code of the contract, so that domain packages can import it without a
// transport.
func generateReasons(plugin *protogen.Plugin, p contract.Program) {
	if len(p.Reasons) == 0 {
		return
	}
	kernel := protogen.GoImportPath("github.com/gatehouse/gatehouse/internal/apierr")
	file := fileOf(plugin, p)
	g := plugin.NewGeneratedFile(path.Dir(p.File())+"/reason/reason.gatehouse.go", file.GoImportPath+"/reason")
	g.P(header)
	g.P()
	g.P("// Package reason is what ", p.Name, " answers with beyond the kernel's own reasons. It links no code of the contract.")
	g.P("package reason")
	for _, r := range p.Reasons {
		status := ""
		if r.HTTPStatus != 0 {
			status = ".WithHTTPStatus(" + strconv.Itoa(r.HTTPStatus) + ")"
		}
		g.P()
		g.P("// ", goName(r.Name), " is ", r.Name, " (", r.Kind.String(), ", over HTTP ", r.Error().Status(), ").")
		g.P("func ", goName(r.Name), "() *", kernel.Ident("Error"), " {")
		g.P("return ", kernel.Ident("New"), "(", kernel.Ident(kindName(r.Kind)), ", ", strconv.Quote(r.Name), ", ", strconv.Quote(r.Sentence), ")", status)
		g.P("}")
	}
}

// goName is a reason as Go spells it: EMAIL_TAKEN is EmailTaken.
func goName(reason string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(reason, "_") {
		switch word {
		case "ID", "URI", "URL", "JSON", "HTTP":
			b.WriteString(word)
		default:
			b.WriteString(word[:1] + strings.ToLower(word[1:]))
		}
	}
	return b.String()
}

// kindName is the constant of a kind: NOT_FOUND is NotFound.
func kindName(kind apierr.Kind) string { return goName(kind.String()) }
