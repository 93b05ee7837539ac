package openapi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const schemaPrefix = "#/components/schemas/"

// use says who writes a message: the form of JSON depends on it.
type use struct {
	requests map[string]bool // clients: unknown fields are refused, and many may be left out
	answers  map[string]bool // the gateway, in an answer or a stream
	streams  map[string]bool // the gateway in a stream, which leaves absent messages out
}

// components returns the corrected schemas that the paths use, directly or through each other, by
// component name.
func (b *builder) components(paths object) (object, error) {
	requests, answers := sent(paths)
	u := use{}
	var err error
	if u.requests, err = b.reachable(requests); err != nil {
		return nil, err
	}
	if u.answers, err = b.reachable(append(answers, b.streamed...)); err != nil {
		return nil, err
	}
	if u.streams, err = b.reachable(b.streamed); err != nil {
		return nil, err
	}
	schemas := object{problemSchema: problem(), fieldSchema: problemField()}
	for name := range schemas {
		if err := b.claim("component", name, "internal/server/http.Problem"); err != nil {
			return nil, err
		}
	}
	all := maps.Clone(u.requests)
	maps.Copy(all, u.answers)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := b.claim("component", componentName(name), name); err != nil {
			return nil, err
		}
		schema, _ := b.schemas[name].(object)
		if err := u.correct(schema, name); err != nil {
			return nil, err
		}
		schemas[componentName(name)] = schema
	}
	return schemas, nil
}

// sent lists the schemas that requests and answers of the paths name.
func sent(paths object) (requests, answers []string) {
	for _, item := range paths {
		operations, _ := item.(object)
		for _, operation := range operations {
			o, _ := operation.(object)
			requests = append(requests, references(o["requestBody"])...)
			answers = append(answers, references(o["responses"])...)
		}
	}
	return requests, answers
}

// reachable returns the messages that the named ones have, with themselves.
func (b *builder) reachable(pending []string) (map[string]bool, error) {
	found := map[string]bool{}
	for ; len(pending) > 0; pending = pending[1:] {
		name := pending[0]
		if found[name] || name == problemSchema {
			continue
		}
		schema, ok := b.schemas[name].(object)
		if !ok {
			return nil, fmt.Errorf("schema %s is used and not generated", name)
		}
		found[name] = true
		pending = append(pending, references(schema)...)
	}
	return found, nil
}

// references lists the schemas that a part of the document names.
func references(part any) []string {
	var names []string
	switch part := part.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(part)) {
			if target, ok := part[key].(string); ok && key == "$ref" {
				if name, schema := strings.CutPrefix(target, schemaPrefix); schema {
					names = append(names, name)
				}
				continue
			}
			names = append(names, references(part[key])...)
		}
	case []any:
		for _, element := range part {
			names = append(names, references(element)...)
		}
	}
	return names
}

// correct corrects the schema of a message by its full name.
func (u use) correct(schema object, name string) error {
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return fmt.Errorf("schema %s: %w", name, err)
	}
	d, ok := found.(protoreflect.MessageDescriptor)
	if !ok || schema["type"] != "object" { // an enumeration, or a message that is one value in JSON
		return nil
	}
	if description, ok := schema["description"].(string); ok {
		schema["description"] = said(description, string(d.Name()))
	}
	if _, body := schema["additionalProperties"]; body {
		return nil // of a request, and corrected with it
	}
	correctProperties(schema, d)
	switch {
	case !u.answers[name]:
		schema["additionalProperties"] = false
		require(schema, required(d))
	case u.requests[name]:
		require(schema, required(d))
	default:
		require(schema, written(d, u.streams[name]))
		properties, _ := schema["properties"].(object)
		for _, property := range properties { // of no use where all are read
			delete(property.(object), "readOnly") //nolint:forcetypeassert // correctProperties left nothing else
		}
	}
	return nil
}

func require(schema object, names []any) {
	if len(names) > 0 {
		schema["required"] = names
	}
}

// written lists the fields that an answer always has: all but those of which protojson tells
// nothing from the zero value. A stream leaves absent messages out, where an answer says null.
func written(d protoreflect.MessageDescriptor, streamed bool) []any {
	var names []any
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		message := field.Message() != nil && !field.IsList() && !field.IsMap()
		if field.ContainingOneof() == nil && !(message && streamed) {
			names = append(names, string(field.Name()))
		}
	}
	return names
}
