package apierr

// Kind classifies an error; each maps to one gRPC code and one HTTP status.
type Kind uint8

// The closed set of kinds.
const (
	Internal           Kind = iota // 500: a defect; the cause is logged, never sent
	InvalidArgument                // 400: the request can never succeed
	Unauthenticated                // 401: no valid credential
	PermissionDenied               // 403: a valid credential without the right
	NotFound                       // 404: unknown, or not the caller's
	AlreadyExists                  // 409: a unique value is taken
	FailedPrecondition             // 400: the state does not admit the request
	Aborted                        // 412: the etag is stale
	ResourceExhausted              // 429: a limit is reached; RetryAfter says when to come back
	Unavailable                    // 503: a dependency is down; RetryAfter says when to come back
	DeadlineExceeded               // 504: the deadline passed
	Canceled                       // 499: the client went away
	Unimplemented                  // 501: no such method
)

// Kinds are all kinds.
func Kinds() []Kind {
	all := make([]Kind, 0, Unimplemented+1)
	for k := Internal; k <= Unimplemented; k++ {
		all = append(all, k)
	}
	return all
}

// String is the name of the gRPC code of the kind, such as "NOT_FOUND".
func (k Kind) String() string {
	name, _ := k.wire()
	return name
}

// HTTPStatus is the status of the kind over HTTP.
func (k Kind) HTTPStatus() int {
	_, status := k.wire()
	return status
}

// wire is a kind in the words of gRPC and of HTTP. 499 is what access logs show of a client that
// went away: nobody reads it.
func (k Kind) wire() (code string, status int) {
	switch k {
	case InvalidArgument:
		return "INVALID_ARGUMENT", 400
	case Unauthenticated:
		return "UNAUTHENTICATED", 401
	case PermissionDenied:
		return "PERMISSION_DENIED", 403
	case NotFound:
		return "NOT_FOUND", 404
	case AlreadyExists:
		return "ALREADY_EXISTS", 409
	case FailedPrecondition:
		return "FAILED_PRECONDITION", 400
	case Aborted:
		return "ABORTED", 412
	case ResourceExhausted:
		return "RESOURCE_EXHAUSTED", 429
	case Unavailable:
		return "UNAVAILABLE", 503
	case DeadlineExceeded:
		return "DEADLINE_EXCEEDED", 504
	case Canceled:
		return "CANCELED", 499
	case Unimplemented:
		return "UNIMPLEMENTED", 501
	case Internal:
	}
	return "INTERNAL", 500
}

// KindOf is the kind that an HTTP status of 400 or more is mostly used for.
func KindOf(status int) Kind {
	switch status {
	case 401:
		return Unauthenticated
	case 403:
		return PermissionDenied
	case 404:
		return NotFound
	case 429:
		return ResourceExhausted
	case 503:
		return Unavailable
	}
	if status >= 500 {
		return Internal
	}
	return InvalidArgument
}
