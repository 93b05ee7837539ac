package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/rest"
	"github.com/gatehouse/gatehouse/internal/token"
)

const (
	bearerScheme = "bearer"
	etagName     = "etag"
)

// correct makes a generated operation say what the gateway does.
func (b *builder) correct(operation object, m *contract.Method) error {
	if err := b.describe(operation, m); err != nil {
		return err
	}
	operation["security"] = []any{}
	if !m.Has(contract.Public) {
		operation["security"] = []any{object{bearerScheme: []any{}}}
	}
	parameters, err := correctParameters(operation["parameters"], m.Descriptor.Input())
	if err != nil {
		return err
	}
	delete(operation, "parameters")
	parameters = append(parameters, headerParameters(m)...)
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	if body, ok := operation["requestBody"].(object); ok {
		if err := b.correctBody(body, m); err != nil {
			return err
		}
	}
	operation["responses"], err = b.correctResponses(operation["responses"], m)
	return err
}

// describe names the operation for programs and for people.
func (b *builder) describe(operation object, m *contract.Method) error {
	service, method := string(m.Descriptor.Parent().Name()), string(m.Descriptor.Name())
	if err := b.claim("operation", operationID(m), m.FullName); err != nil {
		return err
	}
	b.used = append(b.used, service)
	first, _ := operation["summary"].(string)
	rest, _ := operation["description"].(string)
	description := said(first+"\n\n"+rest, method)
	if m.FreshSignIn {
		description += fmt.Sprintf("\n\nNeeds a sign-in that is at most %d minutes old: sign in again where the answer is `%s`.",
			int(token.FreshFor/time.Minute), apierr.FreshSignInRequired().Reason)
	}
	operation["operationId"] = operationID(m)
	operation["tags"] = []any{tagName(service)}
	operation["summary"] = summary(description)
	operation["description"] = description
	return nil
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
			out = append(out, object{"$ref": parameterPrefix + ifMatchName})
			continue
		}
		parameter["name"] = path
		if description, ok := parameter["description"].(string); ok {
			parameter["description"] = described(description, string(field.Name()))
		}
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

// correctResponses states the contract's status, the headers that come with it, and the problem
// documents of what is refused.
func (b *builder) correctResponses(generated any, m *contract.Method) (object, error) {
	all, _ := generated.(object)
	success, ok := all["200"].(object)
	if !ok {
		return nil, fmt.Errorf("the generated operation has no 200 response")
	}
	description, _ := success["description"].(string)
	success["description"] = said(description, string(m.Descriptor.Output().Name()))
	if m.HTTPStatus == http.StatusNoContent {
		delete(success, "content")
		success["description"] = "Done."
	}
	var names []string
	if resourceHasETag(m) {
		names = append(names, etagHeader)
	}
	if !m.ReadOnly {
		names = append(names, rest.ConsistencyToken)
	}
	if m.Descriptor.IsStreamingClient() {
		names = append(names, rest.StoredMessages)
	}
	if len(names) > 0 {
		success["headers"] = b.headersOf(names...)
	}
	if m.Descriptor.IsStreamingServer() {
		b.correctStream(success, m)
	}
	responses := object{strconv.Itoa(m.HTTPStatus): success}
	if m.Accepted {
		accepted := maps.Clone(success)
		accepted["description"] = "Accepted: there is nothing to tell yet, and the object is empty."
		accepted["content"] = object{"application/json": object{"schema": object{"type": "object"}}}
		responses["202"] = accepted
	}
	return responses, b.addRefusals(responses, m)
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
