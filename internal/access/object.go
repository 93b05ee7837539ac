package access

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// Object is what a request is about. Type and ID are empty where the request does not name an
// object.
type Object struct{ Type, ID string }

// ObjectOf names what a request is about: the object that its event would name, else that of the
// first permission or self alternative that has a value. Values that cannot be an id are left out:
// they are whatever somebody typed.
func ObjectOf(m *contract.Method, message proto.Message) Object {
	from := func(objectType, field string) (Object, bool) {
		id := ID(message, field)
		return Object{Type: objectType, ID: id}, field != "" && id != ""
	}
	if o, ok := from(m.Audit.ObjectType, m.Audit.Object); ok {
		return o
	}
	var fixed Object
	for _, a := range m.Access {
		objectType := a.ObjectType
		if a.Kind == contract.Self {
			objectType = "user"
		}
		if o, ok := from(objectType, a.Field); ok {
			return o
		}
		if a.ObjectID != "" {
			fixed = Object{Type: a.ObjectType, ID: a.ObjectID}
		}
	}
	return fixed
}

// ID returns the value of a request's field when it can be the id of an object, else "".
func ID(m proto.Message, path string) string {
	value, _ := stringField(m.ProtoReflect(), path)
	return askable(value)
}

// stringField follows a path of singular message fields to a string field.
func stringField(m protoreflect.Message, path string) (string, bool) {
	for {
		name, rest, deeper := strings.Cut(path, ".")
		f := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		switch {
		case f == nil || f.Cardinality() == protoreflect.Repeated:
			return "", false
		case !deeper:
			return m.Get(f).String(), f.Kind() == protoreflect.StringKind
		case f.Message() == nil:
			return "", false
		}
		m, path = m.Get(f).Message(), rest
	}
}
