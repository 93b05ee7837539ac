package rest

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// checkQuery refuses parameters that the route does not have, and values that their fields do not take. The errors of the parsers quote
// the value and are not kept: the log would tell it (R74).
func (s *shape) checkQuery(raw string) *apierr.Error {
	if raw == "" {
		return nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil || !utf8.ValidString(raw) {
		return apierr.MalformedQuery().
			WithField("", "query.syntax", "must be name=value pairs joined by &, percent-encoded UTF-8")
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := s.checkParameter(name, values[name]); err != nil {
			return err
		}
	}
	return nil
}

func (s *shape) checkParameter(name string, values []string) *apierr.Error {
	switch {
	case name == etagField && s.precondition:
		return apierr.UnknownParameter().Saying("the etag is not a query parameter").
			WithField(name, "known", "is sent in the If-Match header")
	case !s.query[name]:
		return apierr.UnknownParameter().
			WithField(Echo(name), "known", "is not a parameter of this request")
	case slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }):
		return apierr.InvalidParameter().Saying("the query has a value that is not valid UTF-8").
			WithField(name, "utf8", "must be UTF-8")
	}
	field := s.field(name)
	if len(values) > 1 && !field.IsList() {
		return apierr.DuplicateParameter().
			WithField(name, "unique", "must appear once")
	}
	err := runtime.PopulateQueryParameters(newMessage(s.request), url.Values{name: values}, utilities.NewDoubleArray(nil))
	if err != nil {
		return mistyped(apierr.InvalidParameter(), name, expected(field))
	}
	return nil
}

// field finds the field of a known query parameter.
func (s *shape) field(path string) protoreflect.FieldDescriptor {
	d := s.request
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		d = d.Fields().ByName(protoreflect.Name(name)).Message()
	}
	return d.Fields().ByName(protoreflect.Name(names[len(names)-1]))
}
