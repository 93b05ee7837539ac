package contract

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// Where the parts of a contract stand is for people. Running programs link descriptors without
// source information, so there a position is the file alone.

// CallsAt is where a program lists what it calls, or would.
func (p Program) CallsAt() Position { return p.CallAt("") }

// CallAt is where a program declares the call of a full method, CallsAt when it does not.
func (p Program) CallAt(method string) Position {
	options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
	calls := options.GetCalls()
	i := slices.IndexFunc(calls, func(call string) bool { return strings.TrimPrefix(call, "/") == strings.TrimPrefix(method, "/") })
	return elementAt(p.file, programOption(programCalls), i, len(calls))
}

// NeedsAt is where a program lists the backing services that it needs, or would.
func (p Program) NeedsAt() Position { return p.NeedAt("") }

// NeedAt is where a program says that it needs a backing service, NeedsAt when it does not.
func (p Program) NeedAt(backing string) Position {
	options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
	needs := options.GetNeeds()
	i := slices.IndexFunc(needs, func(need optionsv1.Backing) bool { return backingName(need) == backing })
	return elementAt(p.file, programOption(programNeeds), i, len(needs))
}

// At is where a method is declared.
func (m *Method) At() Position { return at(m.Descriptor) }

// RouteAt is where a method has its route, or would.
func (m *Method) RouteAt() Position { return inOption(m.Descriptor, httpNumber) }

// AllowAt is where a method lists who may call it, or would.
func (m *Method) AllowAt() Position { return m.ConsentAt("") }

// ConsentAt is where a method consents by a word of its allow, a program's name or EveryService;
// AllowAt when it does not say the word.
func (m *Method) ConsentAt(word string) Position {
	options, _ := extension[*optionsv1.Method](m.Descriptor.Options(), optionsv1.E_Method)
	allow := options.GetAllow()
	return elementAt(m.Descriptor.ParentFile(), m.option(methodAllow), slices.Index(allow, word), len(allow))
}

func programOption(field int32) protoreflect.SourcePath {
	return protoreflect.SourcePath{fileOptions, optionNumber, field}
}

func (m *Method) option(field int32) protoreflect.SourcePath {
	base := m.Descriptor.ParentFile().SourceLocations().ByDescriptor(m.Descriptor).Path
	return append(slices.Clone(base), methodOptions, optionNumber, field)
}

// elementAt is where element i of the n of a list stands; its first one without that, and where the
// list would be when there is none. buf records a list in brackets as a whole, as if it were its
// first element: then the elements are looked for where `buf format` puts them, one on each line
// between the brackets.
func elementAt(file protoreflect.FileDescriptor, list protoreflect.SourcePath, i, n int) Position {
	element := func(i int) protoreflect.SourceLocation {
		return file.SourceLocations().ByPath(append(slices.Clone(list), int32(i))) //nolint:gosec // lists are short
	}
	where := locate(file, list, []int32{0})
	whole, own := element(0), element(max(i, 0))
	switch {
	case whole.Path == nil: // no list, or nobody knows
	case whole.EndLine-whole.StartLine == n+1:
		where.Line, where.Column = whole.StartLine+2+max(i, 0), 1
	case own.Path != nil:
		where.Line, where.Column = own.StartLine+1, own.StartColumn+1
	}
	return where
}
