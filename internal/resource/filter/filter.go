// Package filter parses the filters of lists: comparisons of text and time fields, joined by AND (a
// subset of AIP-160).
//
// The api packages of services import it. It is apart from resource because its parser works on
// generated code, which domain packages do not depend on.
package filter

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/resource"
)

// maxConditions bounds the work of one filter.
const maxConditions = 10

// Parser parses the filters of one list. Text is compared with = and !=, as a whole and with regard
// to case; enums and bools with = and !=; times with all six comparisons and RFC 3339 values. Safe
// for concurrent use.
type Parser struct {
	declarations *filtering.Declarations
	enums        map[string]protoreflect.EnumType
	bools        []string
	fields       string // for people
}

// Fields are those of a list that may be filtered by, by their names in the contract.
type Fields struct {
	Texts, Times []string
	Bools        []string                         // compared with true and false
	Enums        map[string]protoreflect.EnumType // compared with names of their values, without quotes
}

// New declares the fields of a list.
func New(f Fields) (*Parser, error) {
	options := []filtering.DeclarationOption{filtering.DeclareStandardFunctions()}
	for _, name := range f.Texts {
		options = append(options, filtering.DeclareIdent(name, filtering.TypeString))
	}
	for _, name := range f.Times {
		options = append(options, filtering.DeclareIdent(name, filtering.TypeTimestamp))
	}
	enums := slices.Sorted(maps.Keys(f.Enums))
	for _, name := range enums {
		options = append(options, filtering.DeclareEnumIdent(name, f.Enums[name]))
	}
	for _, name := range f.Bools {
		options = append(options, filtering.DeclareIdent(name, filtering.TypeBool))
	}
	if len(f.Bools) > 0 {
		options = append(options, filtering.DeclareIdent("true", filtering.TypeBool), filtering.DeclareIdent("false", filtering.TypeBool))
	}
	declarations, err := filtering.NewDeclarations(options...)
	if err != nil {
		return nil, err
	}
	return &Parser{declarations: declarations, enums: f.Enums, bools: f.Bools, fields: strings.Join(slices.Concat(f.Texts, enums, f.Bools, f.Times), ", ")}, nil
}

// Parse returns the conditions of a filter; none for an empty one.
func (f *Parser) Parse(filter string) ([]resource.Condition, error) {
	if strings.TrimSpace(filter) == "" {
		return nil, nil
	}
	parsed, err := filtering.ParseFilterString(filter, f.declarations)
	if err != nil {
		return nil, f.bad(err)
	}
	conditions, ok := f.appendConditions(nil, parsed.CheckedExpr.GetExpr())
	if !ok || len(conditions) > maxConditions {
		return nil, f.bad(nil)
	}
	return conditions, nil
}

func (f *Parser) bad(cause error) error {
	return apierr.InvalidArgumentError().Saying("the filter cannot be read").Because(cause).WithField("filter", "filter",
		`must be at most 10 comparisons joined by AND, such as: display_name = "Ada" AND create_time >= "2026-01-01T00:00:00Z"; `+
			"text and states are compared by = and !=; fields: "+f.fields)
}

// appendConditions walks the conjunction; ok is false for anything that is not part of the subset.
func (f *Parser) appendConditions(conditions []resource.Condition, e *expr.Expr) ([]resource.Condition, bool) {
	call := e.GetCallExpr()
	args := call.GetArgs()
	if call == nil || len(args) != 2 {
		return nil, false
	}
	switch call.GetFunction() {
	case filtering.FunctionAnd:
		conditions, ok := f.appendConditions(conditions, args[0])
		if !ok {
			return nil, false
		}
		return f.appendConditions(conditions, args[1])
	case filtering.FunctionEquals, filtering.FunctionNotEquals, filtering.FunctionLessThan, filtering.FunctionLessEquals,
		filtering.FunctionGreaterThan, filtering.FunctionGreaterEquals:
		c, ok := f.condition(call.GetFunction(), args[0], args[1])
		return append(conditions, c), ok
	default:
		return nil, false
	}
}

// condition reads "field op value". The checker has made sure that field and value fit each other.
func (f *Parser) condition(op string, left, right *expr.Expr) (resource.Condition, bool) {
	c := resource.Condition{Field: left.GetIdentExpr().GetName(), Op: resource.Op(op)}
	if c.Field == "" {
		return c, false
	}
	if enum, isEnum := f.enums[c.Field]; isEnum {
		name := protoreflect.Name(right.GetIdentExpr().GetName())
		value := enum.Descriptor().Values().ByName(name)
		c.Value = string(name)
		return c, value != nil && value.Number() != 0
	}
	if slices.Contains(f.bools, c.Field) {
		name := right.GetIdentExpr().GetName()
		c.Value = name == "true"
		return c, name == "true" || name == "false"
	}
	isTime := isTimeField(c.Field)
	if call := right.GetCallExpr(); isTime && call.GetFunction() == filtering.FunctionTimestamp && len(call.GetArgs()) == 1 {
		right = call.GetArgs()[0]
	}
	constant, isText := right.GetConstExpr().GetConstantKind().(*expr.Constant_StringValue)
	if !isText {
		return c, false
	}
	if !isTime {
		text := constant.StringValue
		c.Value = text
		// PostgreSQL refuses these characters in text; an escape such as "\x00" can make them.
		return c, (c.Op == resource.Equal || c.Op == resource.NotEqual) && utf8.ValidString(text) && !strings.Contains(text, "\x00")
	}
	t, err := time.Parse(time.RFC3339Nano, constant.StringValue)
	c.Value = t.UTC()
	return c, err == nil
}

// isTimeField follows AIP-142: the names of time fields end in _time.
func isTimeField(name string) bool { return strings.HasSuffix(name, "_time") }
