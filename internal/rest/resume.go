package rest

import (
	"net/http"
	"unicode/utf8"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// LastEventID is the header in which a client of server-sent events says what it has seen (WHATWG HTML, section 9.2.4).
const LastEventID = "Last-Event-Id"

// applyResume hands Last-Event-ID to the request's cursor. It is later than a cursor in the query, which a client repeats unchanged
// whenever it connects again.
func (s *shape) applyResume(r *http.Request) *apierr.Error {
	values := r.Header[LastEventID]
	if !s.resumes || len(values) == 0 {
		return nil
	}
	invalid := apierr.InvalidLastEventID()
	switch value := values[0]; {
	case len(values) > 1:
		return invalid.WithField("Last-Event-ID", "unique", "must be sent once")
	case !utf8.ValidString(value):
		return invalid.WithField("Last-Event-ID", "utf8", "must be UTF-8")
	case value != "":
		mapped := *r.URL
		query := mapped.Query()
		query.Set(cursorField, value)
		mapped.RawQuery = query.Encode()
		r.URL = &mapped
	}
	return nil
}
