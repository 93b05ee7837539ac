package rest

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/contract"
)

// etagField is the request field that If-Match fills.
const etagField = "etag"

// shape is what the requests of one route may carry, derived from its contract.
type shape struct {
	request      protoreflect.MessageDescriptor
	body         protoreflect.MessageDescriptor // nil: no body
	prefix       string                         // proto path of the body inside the request with a dot, such as "user."; empty for all of it
	query        map[string]bool                // names of the query parameters
	precondition bool                           // If-Match is honoured
	resumes      bool                           // Last-Event-ID is honoured
}

func shapeOf(m *contract.Method) (shape, error) {
	s := shape{request: m.Descriptor.Input(), query: map[string]bool{}}
	switch body := m.Route.Body; body {
	case "":
	case "*":
		s.body = s.request
		return s, nil // every field comes from the body or the path: none is left for the query
	default:
		field := s.request.Fields().ByName(protoreflect.Name(body))
		if field == nil || field.Message() == nil || field.IsList() || field.IsMap() {
			return s, fmt.Errorf("body %q must name a message field of %s", body, s.request.FullName())
		}
		s.body, s.prefix = field.Message(), body+"."
	}
	bound := pathFields(m.Route.Path)
	if m.Route.Body != "" {
		bound = append(bound, m.Route.Body)
	}
	s.addQuery(s.request, "", bound, nil)
	if etag := s.request.Fields().ByName(etagField); etag != nil && s.query[etagField] && etag.Kind() == protoreflect.StringKind {
		delete(s.query, etagField)
		s.precondition = true
	}
	s.resumes = m.LongLived && s.query[cursorField] && stringField(s.request, cursorField) != nil
	return s, nil
}

// addQuery adds the fields that neither the path nor the body binds; above guards against recursion.
func (s *shape) addQuery(d protoreflect.MessageDescriptor, prefix string, bound []string, above []protoreflect.FullName) {
	if slices.Contains(above, d.FullName()) {
		return
	}
	above = append(slices.Clone(above), d.FullName())
	for i := range d.Fields().Len() {
		field := d.Fields().Get(i)
		path := prefix + string(field.Name())
		switch {
		case slices.Contains(bound, path), field.IsMap():
		case field.Message() == nil || wellKnown(field.Message()):
			s.query[path] = true
		case !field.IsList():
			s.addQuery(field.Message(), path+".", bound, above)
		}
	}
}

// pathFields lists the field paths of a path template: "/v1/{user.id}/x/{name=a/*}" has user.id and name.
func pathFields(template string) []string {
	var fields []string
	for rest := template; ; {
		_, after, open := strings.Cut(rest, "{")
		inside, tail, closed := strings.Cut(after, "}")
		if !open || !closed {
			return fields
		}
		name, _, _ := strings.Cut(inside, "=")
		fields = append(fields, name)
		rest = tail
	}
}

// wellKnown reports whether the message has a JSON form of its own (Timestamp, Duration, FieldMask, wrappers, Struct, …).
func wellKnown(d protoreflect.MessageDescriptor) bool {
	return d.ParentFile().Package() == "google.protobuf"
}

// newMessage returns an empty message for trying a decode on.
func newMessage(d protoreflect.MessageDescriptor) proto.Message { return dynamicpb.NewMessage(d) }
