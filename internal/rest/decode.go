package rest

import (
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// decodeInto decodes a body into an empty message, or refuses it and names the field and the rule.
// protojson's own error texts are deliberately unstable and would reach the client unnamed, so no
// client sees one. They also quote the value, which may be a password, so they are not kept as the
// cause either: the log would tell it (R74).
func decodeInto(m proto.Message, body []byte) *apierr.Error {
	d := m.ProtoReflect().Descriptor()
	if err := checkStructure(body, d); err != nil {
		return err
	}
	if protojson.Unmarshal(body, m) == nil {
		return nil
	}
	return undecodable(body, d)
}

// checkValues says what the mapping did not take of a body of the right structure; nil when it was
// not the body.
func checkValues(body []byte, d protoreflect.MessageDescriptor) *apierr.Error {
	if decode(body, d) == nil {
		return nil
	}
	return undecodable(body, d)
}

func undecodable(body []byte, d protoreflect.MessageDescriptor) *apierr.Error {
	if named := explain(body, d, ""); named != nil {
		return named
	}
	return apierr.MalformedJSON().
		WithField("", "json", "must be the JSON form of the request")
}

func decode(body []byte, d protoreflect.MessageDescriptor) error {
	var m proto.Message
	if kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName()); err == nil {
		m = kind.New().Interface()
	} else {
		m = newMessage(d)
	}
	return protojson.Unmarshal(body, m)
}

// explain finds the field that does not decode, by decoding each on its own.
func explain(body []byte, d protoreflect.MessageDescriptor, path string) *apierr.Error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil //nolint:nilerr // what is not an object has no field to blame
	}
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		field := d.Fields().ByName(protoreflect.Name(name))
		if field == nil {
			continue
		}
		single, err := json.Marshal(map[string]json.RawMessage{name: members[name]})
		if err != nil || protojson.Unmarshal(single, newMessage(d)) == nil {
			continue
		}
		if err := explainInside(members[name], field, join(path, name)); err != nil {
			return err
		}
		return wrongType(join(path, name), expected(field))
	}
	return nil
}

// explainInside finds it in a message, or in the first element of a list that does not decode.
func explainInside(text json.RawMessage, field protoreflect.FieldDescriptor, path string) *apierr.Error {
	inner := field.Message()
	switch {
	case inner == nil || field.IsMap() || wellKnown(inner):
		return nil
	case !field.IsList():
		return explain(text, inner, path)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(text, &elements); err != nil {
		return nil //nolint:nilerr // what is not an array has no element to blame
	}
	for i, element := range elements {
		if decode(element, inner) != nil {
			return explain(element, inner, fmt.Sprintf("%s[%d]", path, i))
		}
	}
	return nil
}

// expected says what a field takes, for people.
func expected(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return "must be a JSON object, each value " + kindName(field.MapValue())
	case field.IsList():
		return "must be a JSON array, each element " + kindName(field)
	default:
		return "must be " + kindName(field)
	}
}

func kindName(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.StringKind:
		return "a string"
	case protoreflect.BytesKind:
		return "a base64 string"
	case protoreflect.BoolKind:
		return "true or false"
	case protoreflect.EnumKind:
		return "the name of a value of " + string(field.Enum().Name())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return messageName(field.Message())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return "a number"
	default:
		return "an integer in the range of " + field.Kind().String()
	}
}

func messageName(d protoreflect.MessageDescriptor) string {
	switch d.FullName() {
	case "google.protobuf.Timestamp":
		return "an RFC 3339 timestamp"
	case "google.protobuf.Duration":
		return `a duration such as "1.5s"`
	case "google.protobuf.FieldMask":
		return "a comma-separated list of field names"
	default:
		return "a JSON object"
	}
}
