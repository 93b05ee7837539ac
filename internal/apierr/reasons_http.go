package apierr

// ofHTTP are the rows of the doors: what a request must not look like.
func ofHTTP() []*Error {
	return []*Error{
		NoSuchPath(),
		AmbiguousPath(),
		MethodNotAllowed(),
		URITooLong(),
		HeaderNotAllowed(),
		InvalidIfMatch(),
		InvalidLastEventID(),
		MalformedRequest(),
		ExchangeRefused(400),
		// Its query.
		MalformedQuery(),
		UnknownParameter(),
		InvalidParameter(),
		DuplicateParameter(),
		// Its body.
		BodyRequired(),
		BodyNotAllowed(),
		BodyTooLarge(),
		BodyTimeout(),
		MalformedBody(),
		UnsupportedMediaType(),
		MalformedJSON(),
		UnknownField(),
		InvalidField(),
		DuplicateField(),
	}
}

// NoSuchPath is NO_SUCH_PATH.
func NoSuchPath() *Error {
	return New(NotFound, "NO_SUCH_PATH", "there is nothing at this path")
}

// AmbiguousPath is AMBIGUOUS_PATH.
func AmbiguousPath() *Error {
	return New(InvalidArgument, "AMBIGUOUS_PATH", "the path can be read in two ways")
}

// MethodNotAllowed is METHOD_NOT_ALLOWED (405).
func MethodNotAllowed() *Error {
	return New(InvalidArgument, "METHOD_NOT_ALLOWED",
		"this path does not have that method: see the Allow header").WithHTTPStatus(405)
}

// URITooLong is URI_TOO_LONG (414).
func URITooLong() *Error {
	return New(InvalidArgument, "URI_TOO_LONG",
		"the request target is longer than 8000 octets").WithHTTPStatus(414)
}

// HeaderNotAllowed is HEADER_NOT_ALLOWED.
func HeaderNotAllowed() *Error {
	return New(InvalidArgument, "HEADER_NOT_ALLOWED",
		"the request has a header that clients must not send")
}

// InvalidIfMatch is INVALID_IF_MATCH.
func InvalidIfMatch() *Error {
	return New(InvalidArgument, "INVALID_IF_MATCH", "the If-Match header cannot be understood")
}

// InvalidLastEventID is INVALID_LAST_EVENT_ID.
func InvalidLastEventID() *Error {
	return New(InvalidArgument, "INVALID_LAST_EVENT_ID",
		"the Last-Event-ID header cannot be understood")
}

// MalformedRequest is MALFORMED_REQUEST.
func MalformedRequest() *Error {
	return New(InvalidArgument, "MALFORMED_REQUEST", "the request cannot be understood")
}

// MalformedQuery is MALFORMED_QUERY.
func MalformedQuery() *Error {
	return New(InvalidArgument, "MALFORMED_QUERY", "the query string is malformed")
}

// UnknownParameter is UNKNOWN_PARAMETER.
func UnknownParameter() *Error {
	return New(InvalidArgument, "UNKNOWN_PARAMETER",
		"the query has a parameter that this method does not know")
}

// InvalidParameter is INVALID_PARAMETER.
func InvalidParameter() *Error {
	return New(InvalidArgument, "INVALID_PARAMETER", "the query has a value of the wrong type")
}

// DuplicateParameter is DUPLICATE_PARAMETER.
func DuplicateParameter() *Error {
	return New(InvalidArgument, "DUPLICATE_PARAMETER", "the query names a parameter twice")
}

// BodyRequired is BODY_REQUIRED.
func BodyRequired() *Error {
	return New(InvalidArgument, "BODY_REQUIRED", "this method needs a JSON body")
}

// BodyNotAllowed is BODY_NOT_ALLOWED.
func BodyNotAllowed() *Error {
	return New(InvalidArgument, "BODY_NOT_ALLOWED", "this method takes no body")
}

// BodyTooLarge is BODY_TOO_LARGE (413).
func BodyTooLarge() *Error {
	return New(InvalidArgument, "BODY_TOO_LARGE", "the body is too large").WithHTTPStatus(413)
}

// BodyTimeout is BODY_TIMEOUT (408).
func BodyTimeout() *Error {
	return New(InvalidArgument, "BODY_TIMEOUT",
		"the body took too long to arrive").WithHTTPStatus(408)
}

// MalformedBody is MALFORMED_BODY.
func MalformedBody() *Error {
	return New(InvalidArgument, "MALFORMED_BODY", "the body ended early or is framed wrongly")
}

// UnsupportedMediaType is UNSUPPORTED_MEDIA_TYPE (415).
func UnsupportedMediaType() *Error {
	return New(InvalidArgument, "UNSUPPORTED_MEDIA_TYPE", "the body is not JSON").WithHTTPStatus(415)
}

// MalformedJSON is MALFORMED_JSON.
func MalformedJSON() *Error {
	return New(InvalidArgument, "MALFORMED_JSON", "the body cannot be decoded")
}

// UnknownField is UNKNOWN_FIELD.
func UnknownField() *Error {
	return New(InvalidArgument, "UNKNOWN_FIELD",
		"the body has a field that this method does not know")
}

// InvalidField is INVALID_FIELD.
func InvalidField() *Error {
	return New(InvalidArgument, "INVALID_FIELD", "the body has a value of the wrong type")
}

// DuplicateField is DUPLICATE_FIELD.
func DuplicateField() *Error {
	return New(InvalidArgument, "DUPLICATE_FIELD", "the body names a field twice")
}

// RateLimited is RATE_LIMITED.
func RateLimited() *Error {
	return New(ResourceExhausted, "RATE_LIMITED",
		"too many requests: wait as long as Retry-After says")
}

// TooManyStreams is TOO_MANY_STREAMS.
func TooManyStreams() *Error {
	return New(ResourceExhausted, "TOO_MANY_STREAMS",
		"you have as many streams open as you may: close one first")
}

// AllStreamsTaken is TOO_MANY_STREAMS.
func AllStreamsTaken() *Error {
	return New(Unavailable, "TOO_MANY_STREAMS", "as many streams are open as can be: come back later")
}

// CallerRateLimited is CALLER_RATE_LIMITED (503).
func CallerRateLimited() *Error {
	return New(ResourceExhausted, "CALLER_RATE_LIMITED",
		"the calling program calls this method too often").WithHTTPStatus(503)
}

// ExchangeRefused is EXCHANGE_REFUSED: a web exchange was answered with that status, of 400 or
// more, and nobody said why.
func ExchangeRefused(status int) *Error {
	return New(KindOf(status), "EXCHANGE_REFUSED", "the request is refused").WithHTTPStatus(status)
}
