package openapi

import (
	"net/http"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
)

// atTheDoor are the reasons, by status, for which the gateway itself refuses a request of a method
// (internal/rest, gateway/internal/middleware). Query parameters that nothing is left for are no
// reason to say how long a target may be.
func atTheDoor(m *contract.Method) map[int][]refusal {
	all := map[int][]refusal{}
	add := func(form bool, errors ...*apierr.Error) {
		for _, e := range errors {
			all[e.Status()] = append(all[e.Status()], refusal{name: e.Reason, sentence: e.Message, form: form && e.Status() == http.StatusBadRequest})
		}
	}
	add(true, apierr.HeaderNotAllowed(), apierr.InvalidIfMatch(), apierr.MalformedQuery(), apierr.MalformedRequest(), apierr.UnknownParameter())
	add(false, apierr.RateLimited())
	if len(pathFields(m.Route)) > 0 {
		add(true, apierr.AmbiguousPath())
	}
	fields := m.Descriptor.Input().Fields()
	if m.Route.Body != "*" && fields.Len() > 0 {
		add(true, apierr.DuplicateParameter(), apierr.InvalidParameter(), apierr.URITooLong())
	}
	if m.Route.Body == "" {
		add(true, apierr.BodyNotAllowed())
	} else {
		add(true, apierr.BodyRequired(), apierr.DuplicateField(), apierr.InvalidField(), apierr.MalformedBody(), apierr.MalformedJSON(), apierr.UnknownField(),
			apierr.BodyTooLarge(), apierr.BodyTimeout(), apierr.UnsupportedMediaType())
	}
	if m.LongLived {
		add(false, apierr.TooManyStreams(), apierr.AllStreamsTaken())
		if fields.ByName(protoreflect.Name(cursorName)) != nil {
			add(true, apierr.InvalidLastEventID())
		}
	}
	return all
}
