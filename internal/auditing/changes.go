package auditing

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
)

// Changes lists the fields that a request sets, by path and in the order of the contract: those
// that update_mask names, if it names any, else those that have a value. The object's own id,
// etags, the mask itself and what only the platform may set are not changes; secrets never leave
// the request.
func Changes(audit contract.Audit, m proto.Message) ([]event.Change, error) {
	if len(audit.Secret) > 0 {
		m = proto.Clone(m)
		for _, path := range audit.Secret {
			forget(m.ProtoReflect(), path)
		}
	}
	l := &lister{audit: audit, mask: maskOf(m.ProtoReflect())}
	err := l.list(m.ProtoReflect(), "")
	return l.changes, err
}

// forget clears a field, also inside of each element of lists and maps on its path.
func forget(m protoreflect.Message, path string) {
	name, rest, deeper := strings.Cut(path, ".")
	f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
	switch {
	case f == nil || !m.Has(f):
	case !deeper:
		m.Clear(f)
	case f.IsMap():
		if f.MapValue().Message() == nil {
			return
		}
		m.Get(f).Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			forget(v.Message(), rest)
			return true
		})
	case f.IsList():
		for i := range m.Get(f).List().Len() {
			forget(m.Get(f).List().Get(i).Message(), rest)
		}
	case f.Message() != nil:
		forget(m.Get(f).Message(), rest)
	}
}

// everything is the path that names all fields of the resource (AIP-134).
const everything = "*"

// maskOf returns the paths of the request's update_mask; nil when it has none.
func maskOf(m protoreflect.Message) []string {
	f := m.Descriptor().Fields().ByName("update_mask")
	if f == nil || !m.Has(f) {
		return nil
	}
	mask, ok := m.Get(f).Message().Interface().(*fieldmaskpb.FieldMask)
	if !ok {
		return nil
	}
	return mask.GetPaths()
}

// lister collects the changes of one request.
type lister struct {
	audit   contract.Audit
	mask    []string // paths below the resource that the request carries
	changes []event.Change
}

// list adds the fields of a message; prefix is the path to it, with its dot.
func (l *lister) list(m protoreflect.Message, prefix string) error {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		path := prefix + string(f.Name())
		if path == l.audit.Object || f.Name() == "etag" || f.Name() == "update_mask" || slices.Contains(l.audit.Secret, path) || outputOnly(f) {
			continue
		}
		if nested(f) && !slices.Contains(l.audit.Personal, path) {
			if m.Has(f) {
				if err := l.list(m.Get(f).Message(), path+"."); err != nil {
					return err
				}
			}
			continue
		}
		if !l.changed(m, f, path) {
			continue
		}
		value, err := valueOf(m, f)
		if err != nil {
			return fmt.Errorf("write %s for the event: %w", path, err)
		}
		l.changes = append(l.changes, event.Change{Field: path, Value: value, Personal: l.personal(path)})
	}
	return nil
}

// changed reports whether the request sets the field. A mask is about the fields of the resource, the message that the request carries;
// a field that it names is set even where it has no value: that empties it.
func (l *lister) changed(m protoreflect.Message, f protoreflect.FieldDescriptor, path string) bool {
	_, inResource, ok := strings.Cut(path, ".")
	if l.mask == nil || !ok {
		return m.Has(f)
	}
	return slices.ContainsFunc(l.mask, func(masked string) bool {
		return masked == everything || within(inResource, masked) || within(masked, inResource)
	})
}

// personal reports whether the value is, or holds, a personal one.
func (l *lister) personal(path string) bool {
	return slices.ContainsFunc(l.audit.Personal, func(p string) bool { return within(path, p) || within(p, path) })
}

// within reports whether path is above or below it; whole segments are compared (R64).
func within(path, above string) bool { return path == above || strings.HasPrefix(path, above+".") }

// nested reports whether a field is a single message of our own, whose fields are listed one by one.
func nested(f protoreflect.FieldDescriptor) bool {
	return f.Message() != nil && !f.IsList() && !f.IsMap() && f.Message().ParentFile().Package() != "google.protobuf"
}

func outputOnly(f protoreflect.FieldDescriptor) bool {
	options, ok := f.Options().(*descriptorpb.FieldOptions)
	if !ok || options == nil {
		return false
	}
	behavior, _ := proto.GetExtension(options, annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behavior, annotations.FieldBehavior_OUTPUT_ONLY)
}

// valueOf writes a field's value as JSON, by the proto3 mapping.
func valueOf(m protoreflect.Message, f protoreflect.FieldDescriptor) (json.RawMessage, error) {
	if f.Kind() == protoreflect.StringKind && !f.IsList() {
		return json.Marshal(m.Get(f).String())
	}
	alone := m.New()
	if m.Has(f) {
		alone.Set(f, m.Get(f))
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(alone.Interface())
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	return members[string(f.Name())], nil
}
