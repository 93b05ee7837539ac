package openapi

import (
	"slices"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// correctProperties gives properties their proto names and rules.
func correctProperties(schema object, d protoreflect.MessageDescriptor) {
	properties, _ := schema["properties"].(object)
	renamed := object{}
	for name, value := range properties {
		field := d.Fields().ByJSONName(name)
		if field == nil {
			renamed[name] = value
			continue
		}
		property, _ := value.(object)
		if description, ok := property["description"].(string); ok {
			property["description"] = described(description, string(field.Name()))
		}
		constrain(property, field)
		renamed[string(field.Name())] = nullable(property, field)
	}
	if len(renamed) > 0 {
		schema["properties"] = renamed
	}
}

// anyJSON is the message that is any value in JSON, null among them.
const anyJSON = "google.protobuf.Value"

// nullable admits null where the JSON mapping writes it: an absent message.
func nullable(property object, field protoreflect.FieldDescriptor) object {
	if field.Message() == nil || field.Cardinality() == protoreflect.Repeated || field.Message().FullName() == anyJSON {
		return property
	}
	if kind, ok := property["type"].(string); ok {
		property["type"] = []any{kind, "null"}
		return property
	}
	out := object{}
	if description, ok := property["description"]; ok {
		out["description"] = description
		delete(property, "description")
	}
	out["anyOf"] = []any{property, object{"type": "null"}}
	return out
}

// constrain states the protovalidate rules that JSON Schema has a word for.
func constrain(schema object, field protoreflect.FieldDescriptor) {
	rules := rulesOf(field)
	if rules == nil || rules.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED {
		return
	}
	if text := rules.GetString(); text != nil {
		put(schema, "minLength", text.MinLen)
		put(schema, "maxLength", text.MaxLen)
		put(schema, "pattern", text.Pattern)
		if len(text.GetIn()) > 0 {
			schema["enum"] = text.GetIn()
		}
		switch {
		case text.GetUuid():
			schema["format"] = "uuid"
		case text.GetEmail():
			schema["format"] = "email"
		}
	}
	if list := rules.GetRepeated(); list != nil {
		put(schema, "minItems", list.MinItems)
		put(schema, "maxItems", list.MaxItems)
	}
	if number := rules.GetInt32(); number != nil {
		if number.HasGte() {
			schema["minimum"] = number.GetGte()
		}
		if number.HasLte() {
			schema["maximum"] = number.GetLte()
		}
	}
}

func put[T any](schema object, name string, value *T) {
	if value != nil {
		schema[name] = *value
	}
}

// required lists the fields whose rules the zero value breaks.
func required(d protoreflect.MessageDescriptor) []any {
	var names []any
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		rules := rulesOf(field)
		text := rules.GetString()
		demanded := rules.GetRequired() || text.GetMinLen() > 0 || text.GetEmail() || text.GetUuid()
		if demanded && rules.GetIgnore() == validate.Ignore_IGNORE_UNSPECIFIED {
			names = append(names, string(field.Name()))
		}
	}
	return names
}

func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	if !proto.HasExtension(field.Options(), validate.E_Field) {
		return nil
	}
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// responseBody returns the response field that is the whole answer; empty for all of it.
func responseBody(d protoreflect.MethodDescriptor) string {
	rule, _ := proto.GetExtension(d.Options(), annotations.E_Http).(*annotations.HttpRule)
	return rule.GetResponseBody()
}

// outputOnly reports whether clients do not send the field.
func outputOnly(field protoreflect.FieldDescriptor) bool {
	behavior, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behavior, annotations.FieldBehavior_OUTPUT_ONLY)
}
