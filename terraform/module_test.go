package terraform_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// A module is a folder of .tf files. What it makes is evaluated without Terraform, as far as it
// follows from its variables and the files that it reads: what other resources say is unknown.
type module struct {
	folder    string
	blocks    []*hclsyntax.Block
	variables map[string]cty.Value
	locals    map[string]hclsyntax.Expression
	known     map[string]cty.Value // locals
	sources   map[string]string    // text by file
}

// A resource is one instance of a resource block.
type resource struct {
	kind, name, key string
	attributes      map[string]cty.Value
}

// load reads a module, with texts of its files changed: pairs of what is there and what takes its place.
func load(t *testing.T, folder string, variables map[string]cty.Value, changes ...string) *module {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no module in %s: %v", folder, err)
	}
	m := &module{folder: folder, variables: maps.Clone(variables), locals: map[string]hclsyntax.Expression{}, known: map[string]cty.Value{}, sources: map[string]string{}}
	if m.variables == nil {
		m.variables = map[string]cty.Value{}
	}
	changed := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source := string(text)
		for i := 0; i < len(changes); i += 2 {
			changed += strings.Count(source, changes[i])
			source = strings.ReplaceAll(source, changes[i], changes[i+1])
		}
		m.sources[filepath.Base(file)] = source
		parsed, problems := hclparse.NewParser().ParseHCL([]byte(source), file)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		m.blocks = append(m.blocks, parsed.Body.(*hclsyntax.Body).Blocks...)
	}
	if changed < len(changes)/2 {
		t.Fatalf("%s has no %q", folder, changes)
	}
	m.declare(t)
	return m
}

// declare takes the locals, and the defaults of variables that are not given.
func (m *module) declare(t *testing.T) {
	t.Helper()
	for _, block := range m.blocks {
		switch block.Type {
		case "locals":
			for name, attribute := range block.Body.Attributes {
				m.locals[name] = attribute.Expr
			}
		case "variable":
			fallback, ok := block.Body.Attributes["default"]
			if _, given := m.variables[block.Labels[0]]; given || !ok {
				continue
			}
			value, problems := fallback.Expr.Value(nil)
			if problems.HasErrors() {
				t.Fatal(problems)
			}
			m.variables[block.Labels[0]] = value
		}
	}
}

// resources evaluates all instances of the module's resources, or data sources.
func (m *module) resources(t *testing.T, block string) []resource {
	t.Helper()
	var all []resource
	for _, b := range m.blocks {
		if b.Type != block {
			continue
		}
		each := map[string]cty.Value{"": cty.NilVal}
		if forEach, ok := b.Body.Attributes["for_each"]; ok {
			if each = elements(m.value(t, forEach.Expr, nil)); each == nil {
				all = append(all, resource{kind: b.Labels[0], name: b.Labels[1], key: "unknown"})
				continue
			}
		} else if count, ok := b.Body.Attributes["count"]; ok && m.value(t, count.Expr, nil).RawEquals(cty.NumberIntVal(0)) {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(each)) {
			r := resource{kind: b.Labels[0], name: b.Labels[1], key: key, attributes: map[string]cty.Value{}}
			var scope map[string]cty.Value
			if each[key] != cty.NilVal {
				scope = map[string]cty.Value{"key": cty.StringVal(key), "value": each[key]}
			}
			for name, attribute := range b.Body.Attributes {
				if name != "for_each" && name != "count" && name != "depends_on" {
					r.attributes[name] = m.value(t, attribute.Expr, scope)
				}
			}
			all = append(all, r)
		}
	}
	return all
}

// elements are those of a map or set; nil where nobody knows them yet.
func elements(value cty.Value) map[string]cty.Value {
	if !value.IsKnown() {
		return nil
	}
	all := map[string]cty.Value{}
	for it := value.ElementIterator(); it.Next(); {
		key, element := it.Element()
		if value.Type().IsSetType() {
			key = element
		}
		all[key.AsString()] = element
	}
	return all
}

// text is an attribute that is a string.
func (r resource) text(name string) string {
	value, ok := r.attributes[name]
	if !ok || !value.IsKnown() || value.IsNull() {
		return ""
	}
	return value.AsString()
}

// value evaluates an expression; each is what for_each gives an instance.
func (m *module) value(t *testing.T, expr hclsyntax.Expression, each map[string]cty.Value) cty.Value {
	t.Helper()
	locals := map[string]cty.Value{}
	variables := map[string]cty.Value{"path": cty.ObjectVal(map[string]cty.Value{"module": cty.StringVal(m.folder)})}
	for _, traversal := range expr.Variables() {
		root := traversal.RootName()
		switch {
		case root == "var" || root == "path" || root == "each":
		case root == "local":
			name := traversal[1].(hcl.TraverseAttr).Name
			if _, done := m.known[name]; !done {
				of, ok := m.locals[name]
				if !ok {
					t.Fatalf("%s: there is no local.%s", m.folder, name)
				}
				m.known[name] = m.value(t, of, nil)
			}
			locals[name] = m.known[name]
		default:
			variables[root] = cty.DynamicVal // another resource
		}
	}
	variables["var"], variables["local"] = cty.ObjectVal(m.variables), cty.ObjectVal(locals)
	if each != nil {
		variables["each"] = cty.ObjectVal(each)
	}
	result, problems := expr.Value(&hcl.EvalContext{Variables: variables, Functions: m.functions()})
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	return result
}

// functions are those of Terraform that our modules use.
func (m *module) functions() map[string]function.Function {
	all := map[string]function.Function{
		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc, "merge": stdlib.MergeFunc, "contains": stdlib.ContainsFunc,
		"concat": stdlib.ConcatFunc, "keys": stdlib.KeysFunc, "replace": stdlib.ReplaceFunc, "trimsuffix": stdlib.TrimSuffixFunc,
		"trimprefix": stdlib.TrimPrefixFunc, "regex": stdlib.RegexFunc, "length": stdlib.LengthFunc, "distinct": stdlib.DistinctFunc,
		"flatten": stdlib.FlattenFunc, "join": stdlib.JoinFunc, "sort": stdlib.SortFunc,
		"toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "try": tryfunc.TryFunc, "can": tryfunc.CanFunc,
	}
	text := func(name string, does func([]cty.Value) (cty.Value, error), params ...string) {
		spec := &function.Spec{Type: function.StaticReturnType(cty.DynamicPseudoType)}
		for _, p := range params {
			spec.Params = append(spec.Params, function.Parameter{Name: p, Type: cty.DynamicPseudoType})
		}
		spec.Impl = func(args []cty.Value, _ cty.Type) (cty.Value, error) { return does(args) }
		all[name] = function.New(spec)
	}
	text("file", func(args []cty.Value) (cty.Value, error) {
		content, err := os.ReadFile(args[0].AsString())
		return cty.StringVal(string(content)), err
	}, "path")
	text("fileset", func(args []cty.Value) (cty.Value, error) {
		files, err := filepath.Glob(filepath.Join(args[0].AsString(), args[1].AsString()))
		var names []cty.Value
		for _, f := range files {
			names = append(names, cty.StringVal(filepath.Base(f)))
		}
		if len(names) == 0 {
			return cty.DynamicVal, fmt.Errorf("nothing is in %s", args[0].AsString())
		}
		return cty.SetVal(names), err
	}, "folder", "pattern")
	text("templatefile", func(args []cty.Value) (cty.Value, error) {
		content, err := os.ReadFile(args[0].AsString())
		if err != nil {
			return cty.DynamicVal, err
		}
		template, problems := hclsyntax.ParseTemplate(content, args[0].AsString(), hcl.InitialPos)
		if problems.HasErrors() {
			return cty.DynamicVal, problems
		}
		result, problems := template.Value(&hcl.EvalContext{Variables: args[1].AsValueMap()})
		if problems.HasErrors() {
			return cty.DynamicVal, problems
		}
		return result, nil
	}, "path", "values")
	text("startswith", func(args []cty.Value) (cty.Value, error) {
		return cty.BoolVal(strings.HasPrefix(args[0].AsString(), args[1].AsString())), nil
	}, "text", "prefix")
	return all
}
