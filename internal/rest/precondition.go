package rest

import (
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

const ifMatch = "If-Match"

// anyEtag is If-Match: * (RFC 9110, section 13.1.1): whatever the etag is.
const anyEtag = "*"

// precondition returns the etag that If-Match demands; empty when there is no condition.
//
// One strong entity tag, or *, is honoured. A weak tag never matches, because If-Match compares strongly, so it is answered as
// stale. A list cannot be said in one request field and is refused rather than misread.
func precondition(h http.Header) (string, *apierr.Error) {
	values := h.Values(ifMatch)
	if len(values) == 0 {
		return "", nil
	}
	value := strings.Trim(values[0], " \t")
	switch {
	case len(values) > 1:
		return "", invalidIfMatch("must be sent once")
	case value == anyEtag:
		return "", nil
	case strings.HasPrefix(value, "W/") && entityTag(value[2:]):
		return "", apierr.ETagMismatch().Saying("a weak entity tag never matches").
			WithField(ifMatch, "etag.strong", "must be a strong entity tag, as in the ETag header")
	case !entityTag(value):
		return "", invalidIfMatch(`must be one quoted entity tag, such as "abc", or *`)
	}
	return value[1 : len(value)-1], nil
}

// entityTag reports whether the value is one quoted, non-empty opaque tag of visible ASCII (RFC 9110, section 8.8.3).
func entityTag(value string) bool {
	if len(value) < 3 || value[0] != '"' || value[len(value)-1] != '"' {
		return false
	}
	for _, c := range []byte(value[1 : len(value)-1]) {
		if c <= ' ' || c == '"' || c >= 0x7f {
			return false
		}
	}
	return true
}

func invalidIfMatch(description string) *apierr.Error {
	return apierr.InvalidIfMatch().
		WithField(ifMatch, "etag.syntax", description)
}

// applyPrecondition hands the etag of If-Match to the request's etag field, through the query of the mapped request.
func (s *shape) applyPrecondition(r *http.Request) *apierr.Error {
	etag, err := precondition(r.Header)
	switch {
	case err != nil:
		return err
	case len(r.Header.Values(ifMatch)) == 0:
		return nil
	case !s.precondition:
		return invalidIfMatch("is not honoured by this method: leave it out")
	case etag == "":
		return nil
	}
	mapped := *r.URL
	if mapped.RawQuery != "" {
		mapped.RawQuery += "&"
	}
	mapped.RawQuery += etagField + "=" + url.QueryEscape(etag)
	r.URL = &mapped
	return nil
}

// setETag sends the etag field of the answered resource as a strong entity tag.
func setETag(h http.Header, m proto.Message) {
	if m == nil {
		return
	}
	if whole, ok := m.(interface{ XXX_ResponseBody() any }); ok { // generated for response_body
		if m, ok = whole.XXX_ResponseBody().(proto.Message); !ok {
			return
		}
	}
	reflected := m.ProtoReflect()
	field := reflected.Descriptor().Fields().ByName(etagField)
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
		return
	}
	if tag := `"` + reflected.Get(field).String() + `"`; entityTag(tag) {
		h.Set("ETag", tag)
	}
}
