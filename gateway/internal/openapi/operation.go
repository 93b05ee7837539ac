package openapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
)

const (
	bearerScheme  = "bearer"
	problemSchema = "Problem"
	etagName      = "etag"
)

// correct makes a generated operation say what the gateway does.
func (b *builder) correct(operation object, m *contract.Method) error {
	request := m.Descriptor.Input()
	operation["security"] = []any{}
	if !m.Has(contract.Public) {
		operation["security"] = []any{object{bearerScheme: []any{}}}
	}
	parameters, err := correctParameters(operation["parameters"], request)
	if err != nil {
		return err
	}
	delete(operation, "parameters")
	parameters = append(parameters, headerParameters(m)...)
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	if body, ok := operation["requestBody"].(object); ok {
		if err := correctBody(body, request, m.Route.Body); err != nil {
			return err
		}
		if m.Descriptor.IsStreamingClient() {
			correctLines(body)
		}
	}
	operation["responses"], err = correctResponses(operation["responses"], m)
	return err
}

// correctParameters gives parameters their proto names and lets If-Match stand for the etag.
func correctParameters(generated any, request protoreflect.MessageDescriptor) ([]any, error) {
	list, _ := generated.([]any)
	var out []any
	for _, element := range list {
		parameter, _ := element.(object)
		name, _ := parameter["name"].(string)
		field, path := fieldByJSONPath(request, name)
		if field == nil {
			return nil, fmt.Errorf("parameter %q is not a field of %s", name, request.FullName())
		}
		switch {
		case parameter["in"] == "path":
			path = lastElement(path)
		case path == etagName && field.Kind() == protoreflect.StringKind:
			out = append(out, object{
				"name": "If-Match", "in": "header", "schema": object{"type": "string"},
				"description": `ETag that the resource must still have, such as "abc" with its quotes; 412 when it has changed. Without it, or with *, any will do.`,
			})
			continue
		}
		parameter["name"] = path
		if schema, ok := parameter["schema"].(object); ok {
			constrain(schema, field)
		}
		out = append(out, parameter)
	}
	return out, nil
}

// fieldByJSONPath finds a field by a path of proto or JSON names and returns its path in proto names.
func fieldByJSONPath(d protoreflect.MessageDescriptor, path string) (protoreflect.FieldDescriptor, string) {
	var (
		field protoreflect.FieldDescriptor
		names []string
	)
	for name := range strings.SplitSeq(path, ".") {
		if d == nil {
			return nil, ""
		}
		if field = d.Fields().ByName(protoreflect.Name(name)); field == nil {
			field = d.Fields().ByJSONName(name)
		}
		if field == nil {
			return nil, ""
		}
		names = append(names, string(field.Name()))
		d = field.Message()
	}
	return field, strings.Join(names, ".")
}

// correctBody says that unknown fields are refused.
func correctBody(body object, request protoreflect.MessageDescriptor, bound string) error {
	content, _ := body["content"].(object)
	media, _ := content["application/json"].(object)
	schema, ok := media["schema"].(object)
	if !ok {
		return fmt.Errorf("the generated body has no JSON schema")
	}
	if reference, shared := schema["$ref"]; shared { // answers use it too, and may grow
		media["schema"] = object{"allOf": []any{object{"$ref": reference}}, "unevaluatedProperties": false}
		return nil
	}
	if bound != "*" {
		request = request.Fields().ByName(protoreflect.Name(bound)).Message()
	}
	correctProperties(schema, request)
	schema["additionalProperties"] = false
	if names := required(request); len(names) > 0 {
		schema["required"] = names
	}
	return nil
}

// correctResponses states the contract's status, the headers that come with it, and the problem document for everything else.
func correctResponses(generated any, m *contract.Method) (object, error) {
	all, _ := generated.(object)
	success, ok := all["200"].(object)
	if !ok {
		return nil, fmt.Errorf("the generated operation has no 200 response")
	}
	if m.HTTPStatus == http.StatusNoContent {
		delete(success, "content")
		success["description"] = "Done."
	}
	headers := object{}
	if resourceHasETag(m) {
		headers["ETag"] = object{
			"schema": object{"type": "string"},
			"description": "The resource's etag as a strong entity tag, for If-Match. " +
				"Leave out a W/ that a compressing proxy put before it: a weak tag is always 412.",
		}
	}
	if !m.ReadOnly {
		headers[rest.ConsistencyToken] = object{"$ref": headerPrefix + consistencyName}
	}
	refused := object{
		"description": "Refused or failed: a problem document (RFC 9457).",
		"content":     object{"application/problem+json": object{"schema": object{"$ref": schemaPrefix + problemSchema}}},
	}
	if m.Descriptor.IsStreamingClient() {
		headers[rest.StoredMessages] = object{"$ref": headerPrefix + storedName}
		refused["headers"] = object{rest.StoredMessages: object{"$ref": headerPrefix + storedName}}
	}
	if len(headers) > 0 {
		success["headers"] = headers
	}
	if m.Descriptor.IsStreamingServer() {
		correctStream(success)
	}
	return object{strconv.Itoa(m.HTTPStatus): success, "default": refused}, nil
}

// resourceHasETag reports whether the answered message itself has an etag; m's response_body names a part of the response.
func resourceHasETag(m *contract.Method) bool {
	d := m.Descriptor.Output()
	if part := responseBody(m.Descriptor); part != "" {
		if field := d.Fields().ByName(protoreflect.Name(part)); field != nil && field.Message() != nil {
			d = field.Message()
		}
	}
	return d.Fields().ByName(etagName) != nil
}

// problem is the schema of the one error body (internal/server/http).
func problem() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"type":        "object",
		"description": "Problem document (RFC 9457).",
		"required":    []any{"type", "title", "status", "reason"},
		"properties": object{
			"type":     object{"type": "string", "format": "uri", "description": "Absolute URI of the kind of problem."},
			"title":    text("Meaning of the status."),
			"status":   object{"type": "integer", "description": "HTTP status."},
			"detail":   text("What happened, for people."),
			"instance": text("urn:gatehouse:request:<request id>, to quote to support."),
			"reason":   text("UPPER_SNAKE word, stable: match on it."),
			"subject":  text("What the failed precondition or the limit is about, such as organization:<id>."),
			"errors": object{"type": "array", "items": object{
				"type":     "object",
				"required": []any{"field", "rule", "description"},
				"properties": object{
					"field":       text("Field, parameter or header at fault."),
					"rule":        text("Name of the violated rule."),
					"description": text("What would be right, for people."),
				},
			}},
			"violations": object{"type": "integer", "description": "How many errors there are, where not all are named."},
		},
	}
}
