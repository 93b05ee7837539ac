package grpcserver

import (
	"context"

	"google.golang.org/grpc/stats"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/tracing"
)

// observers are what sees a call from outside of the chain, from its first byte to its last, in
// their order.
func observers(p Params, t *teller) []stats.Handler {
	all := []stats.Handler{t}
	if tracing.Recorded(p.Tracer) {
		all = append([]stats.Handler{traces(p)}, all...) // before the teller, whose line carries the trace id
	}
	return all
}

// middlewares is the order of the chain, outermost first, with the reason for each place. Traces,
// log and metrics are outside of it (observers): they tell also of calls that do not get this far.
func middlewares(p Params, draining context.Context, running *inflight) chain {
	return chain{
		nameStream(),             // first: every answer names its request, whatever becomes of it
		begin(),                  // below all middlewares: what they see is what the handler has
		both(counted(running)),   // outside of everything that takes time: the drain waits for whoever is counted
		both(mapErrors(p)),       // the one place where an error becomes a status; inside, only members of the closed set and unknowns
		both(recovered()),        // inside of errors, so that a panic is answered and told as one
		both(deadline(draining)), // before anything that may wait, such as a fetch of keys
		both(callingService(p)),  // before authorize, which asks who calls
		both(rates(p)),           // after the caller is known, whose rate it is; before authorize, which costs the most
		both(denials(p)),         // outside of authorize, whose refusals it records, and inside of callingService: the record says who called
		both(consistencyToken()), // before authorize, whose questions carry it; its form tells nothing about anybody
		both(ids()),              // before authorize, which compares ids and asks about them
		both(authorize(p)),       // before validate: who may not call learns nothing about the request
		both(validate()),         // before the handler, which sees only requests that keep the contract's rules
		both(events(p)),          // after both: an event names the subject, and holds nothing of a request that is refused
		interrupt(),              // last: it watches the context that the handler has
	}
}

// recovered answers a panic with INTERNAL and keeps its place for the log.
func recovered() middleware {
	return middleware{around: func(ctx context.Context, _ *rpc, next func(context.Context) error) (err error) {
		defer apierr.Recover(&err)
		return next(ctx)
	}}
}
