package request

import "context"

// IDHeader is the metadata key under which a request keeps its id from program to program.
const IDHeader = "x-request-id"

// WithID returns a context of the request with this id; log lines carry it.
func WithID(ctx context.Context, id string) context.Context {
	k := of(ctx)
	k.id = id
	return with(ctx, k)
}

// ID returns the id of the request, "" outside of one.
func ID(ctx context.Context) string { return of(ctx).id }

// ValidID admits the ids that a service takes over from the program that calls it, and that the
// gateway logs of its clients: 1 to 64 letters, digits, '-' and '_', which forge nothing in a log,
// a header or a URN.
func ValidID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
