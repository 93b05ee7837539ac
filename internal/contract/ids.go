package contract

import (
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// loadIDs lists the paths of the request fields that hold an id: those that access rules compare or
// ask about, the one that names the object of the event, and those that must be a UUID.
func loadIDs(m *Method) []string {
	paths := uuids(m.Descriptor.Input(), "", nil)
	for _, a := range m.Access {
		if a.Field != "" {
			paths = append(paths, a.Field)
		}
	}
	if object := m.Audit.Object; object != "" && !strings.HasPrefix(object, "response.") {
		paths = append(paths, object)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// uuids lists the string fields, single and repeated, with the rule string.uuid of a message and of
// the messages inside it; above guards against recursion.
func uuids(d protoreflect.MessageDescriptor, prefix string, above []protoreflect.FullName) []string {
	if slices.Contains(above, d.FullName()) {
		return nil
	}
	above = append(slices.Clone(above), d.FullName())
	var paths []string
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		path := prefix + string(field.Name())
		if field.IsMap() {
			continue
		}
		rules, _ := extension[*validate.FieldRules](field.Options(), validate.E_Field)
		if field.IsList() {
			rules = rules.GetRepeated().GetItems()
		}
		if rules.GetString().GetUuid() {
			paths = append(paths, path)
		}
		if inner := field.Message(); inner != nil {
			paths = append(paths, uuids(inner, path+".", above)...)
		}
	}
	return paths
}
