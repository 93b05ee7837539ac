package openapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// correctBody makes a component of the body, with the name of the method's request: what generated
// clients call it. It has the fields that a client may send there, and no others.
func (b *builder) correctBody(body object, m *contract.Method) error {
	content, _ := body["content"].(object)
	media, _ := content["application/json"].(object)
	schema, ok := media["schema"].(object)
	if !ok {
		return fmt.Errorf("the generated body has no JSON schema")
	}
	message, request := m.Descriptor.Input(), m.Descriptor.Input()
	if m.Route.Body != "*" {
		message = request.Fields().ByName(protoreflect.Name(m.Route.Body)).Message()
	}
	named, err := b.bodySchema(schema, message, pathFields(m.Route))
	if err != nil {
		return err
	}
	named["description"] = "Body of " + operationID(m) + "."
	name := nameOf(request)
	if other, generated := b.schemas[name]; generated && other != nil {
		return fmt.Errorf("the request %s is a part of other messages too: give the method one of its own", name)
	}
	b.schemas[name] = named
	reference := object{"$ref": schemaPrefix + name}
	body["content"] = object{"application/json": object{"schema": reference}}
	if m.Descriptor.IsStreamingClient() {
		body["description"] = "NDJSON: one message a line, as many as one likes; the size of each line and the time it may take are bounded."
		body["content"] = object{"application/x-ndjson": object{"schema": sequence("application/x-ndjson", "Each line is one message.", reference)}}
	}
	return nil
}

// bodySchema returns the schema of the fields that the body of a request may have.
func (b *builder) bodySchema(schema object, message protoreflect.MessageDescriptor, inPath map[string]bool) (object, error) {
	if reference, shared := schema["$ref"].(string); shared {
		schema, _ = b.schemas[strings.TrimPrefix(reference, schemaPrefix)].(object)
	}
	named, err := clone(schema)
	if err != nil {
		return nil, err
	}
	correctProperties(named, message)
	properties, _ := named["properties"].(object)
	for i := range message.Fields().Len() {
		if field := message.Fields().Get(i); inPath[string(field.Name())] || outputOnly(field) {
			delete(properties, string(field.Name()))
		}
	}
	named["additionalProperties"] = false
	var demanded []any
	for _, name := range required(message) {
		if text, _ := name.(string); properties[text] != nil {
			demanded = append(demanded, name)
		}
	}
	require(named, demanded)
	return named, nil
}

// pathFields are the names of the fields that the path of a route has.
func pathFields(route *contract.Route) map[string]bool {
	fields := map[string]bool{}
	for _, part := range strings.Split(route.Path, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		name, _, _ = strings.Cut(name, "=")
		fields[strings.TrimPrefix(name, route.Body+".")] = true
	}
	return fields
}

// sequence is a stream of messages as one body. OpenAPI 3.1 has no word for a sequence, so this is
// a string: to say that the body were one message would make generated clients decode it whole. The
// form of each message is beside it.
func sequence(mediaType, description string, message any) object {
	return object{"type": "string", "contentMediaType": mediaType, "contentSchema": message, "description": description}
}

// correctStream states the two forms of a stream of messages.
func (b *builder) correctStream(success object, m *contract.Method) {
	message := object{"$ref": schemaPrefix + nameOf(m.Descriptor.Output())}
	b.streamed = append(b.streamed, nameOf(m.Descriptor.Output()))
	failed := object{
		"type": "object", "required": []any{"error"}, "properties": object{"error": object{"$ref": schemaPrefix + problemSchema}},
	}
	success["description"] = "A stream of messages, as they come: NDJSON unless Accept prefers text/event-stream. It ends with the access token, without an error."
	success["content"] = object{
		"application/x-ndjson": object{"schema": sequence("application/x-ndjson",
			"Each line is one message. One of only a cursor is a sign of life; one of only an error is the last.", object{"anyOf": []any{message, failed}})},
		"text/event-stream": object{"schema": sequence("text/event-stream",
			"The id of an event is the cursor and its data one message; signs of life are comments, with an id; the event \"error\" has a problem document and is the last.",
			object{"anyOf": []any{message, object{"$ref": schemaPrefix + problemSchema}}})},
	}
}

// clone copies a part of the document that is changed for one place only.
func clone(part object) (object, error) {
	text, err := json.Marshal(part)
	if err != nil {
		return nil, fmt.Errorf("copy a schema: %w", err)
	}
	var out object
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("copy a schema: %w", err)
	}
	return out, nil
}
