package rest

import (
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"
)

// Form is what requests and responses look like at every door.
type Form struct {
	Message protojson.MarshalOptions // of responses
	Stream  protojson.MarshalOptions // of the messages of a stream
	Headers []string                 // of requests, in canonical form: all others are dropped
}

// Step is one handler around the next.
type Step func(next http.Handler) http.Handler

// Chain puts the steps around the end, the first of them outermost.
func Chain(end http.Handler, steps ...Step) http.Handler {
	for i := len(steps) - 1; i >= 0; i-- {
		end = steps[i](end)
	}
	return end
}

// Checks hold every request to one shape and find its route, at every door in this order. They know
// nothing of who sends it; what is behind them has RouteFrom.
func Checks(form Form, h *Handler) Step {
	return func(next http.Handler) http.Handler {
		return Chain(next,
			serverOptions(),             // before the path is looked at: this request has none
			limitURI(),                  // likewise
			plainPath(),                 // before routing: no two readings of one path
			closedHeaders(form.Headers), // before routing: nothing behind sees a header that it did not ask for
			findRoute(h),                // last: the contract of the request is known from here on
		)
	}
}
