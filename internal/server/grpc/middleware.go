package grpcserver

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"

	grpcprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// middlewares is the order of the chain, outermost first, with the reason for each place. Traces are a stats handler outside of all.
func middlewares(p Params, draining context.Context) (chain, error) {
	metrics := grpcprometheus.NewServerMetrics(grpcprometheus.WithServerHandlingTimeHistogram())
	if p.Registry != nil {
		if err := p.Registry.Register(metrics); err != nil {
			return nil, fmt.Errorf("register gRPC metrics: %w", err)
		}
	}
	recovered := recovery.WithRecoveryHandlerContext(func(_ context.Context, panicked any) error {
		return apierr.New(apierr.Internal, "INTERNAL", "an internal error occurred").Because(fmt.Errorf("panic: %v\n%s", panicked, debug.Stack()))
	})
	return chain{
		begin(p),           // first: opens the record that the others fill
		both(requestID(p)), // before the log, whose line carries it
		both(accessLog(p)), // outside of everything that may refuse: one line for each call, whatever became of it
		{metrics.UnaryServerInterceptor(), metrics.StreamServerInterceptor()}, // outside of errors: counts the codes that clients see
		both(mapErrors()), // the one place where an error becomes a status; inside, only members of the closed set and unknowns
		{recovery.UnaryServerInterceptor(recovered), recovery.StreamServerInterceptor(recovered)}, // inside of log and metrics, so that a panic has its line and its count
		both(deadline(p, draining)), // before anything that may wait, such as a fetch of keys
		both(callingService(p)),     // before authorize, which asks who calls
		both(denials(p)),            // outside of authorize, whose refusals it records, and inside of callingService: the record says who called
		both(consistencyToken()),    // before authorize, whose questions carry it; its form tells nothing about anybody
		both(ids()),                 // before authorize, which compares ids and asks about them
		both(authorize(p)),          // before validate: who may not call learns nothing about the request
		both(validate()),            // before the handler, which sees only requests that keep the contract's rules
		both(events(p)),             // after both: an event names the subject, and holds nothing of a request that is refused
		interrupt(),                 // last: it watches the context that the handler has
	}, nil
}

// infrastructure reports whether a method is health or reflection. Consul's agent and operators call them past the mesh; they tell
// nothing about anybody, so they need no caller and no token.
func infrastructure(method string) bool {
	return strings.HasPrefix(method, "/grpc.health.v1.Health/") || strings.HasPrefix(method, "/grpc.reflection.")
}
