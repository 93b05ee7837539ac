// Package middleware is the policy of the public listener: what happens to a request between the
// socket and its route, in one ordered list (Chain), one file a step. What holds of a request at
// every door is in internal/rest.
//
// A step refuses with a problem document or hands on; none knows a service. What later steps and
// the log need is kept in one exchange per request. Wiring (gateway/internal/app) imports it.
package middleware

import (
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/rest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// Params are the parts that the chain is made of. All are required unless they say otherwise.
type Params struct {
	Log            *slog.Logger
	Registry       prometheus.Registerer
	TracerProvider trace.TracerProvider
	Propagator     propagation.TextMapPropagator
	Now            func() time.Time
	NewID          func() string // a fresh request id

	REST     *grpcserver.REST
	Verifier rest.Verifier
	Handler  http.Handler // the end of the chain, instead of the route itself, for tests

	Origins        *Origins       // which pages may read; nil: none
	TrustedProxies []netip.Prefix // peers whose X-Forwarded-For is believed; none: nobody's
	BodyLimit      int64          // bytes
	PerAddress     Rate           // every request but those of PerProgram, by client address
	PerProgram     Rate           // requests to web exchanges of programs (OAuth clients), by client address
	PerCredential  Rate           // requests that take credentials, such as a password, by route and client address
	PerSubject     Rate           // authenticated requests, by token subject

	Streams           int // long-lived requests at once, in all
	StreamsPerSubject int // long-lived requests at once, by token subject
}

// step is one middleware.
type step = rest.Step

// Chain returns the handler of the public listener. The order is the security argument, so it is written once, here.
func Chain(p Params) (http.Handler, error) {
	if p.Origins == nil {
		p.Origins = &Origins{}
	}
	cors := p.Origins.step
	observe, err := observe(p.Registry, p.Now)
	if err != nil {
		return nil, err
	}
	streams, err := limitStreams(p.Registry, p.Streams, p.StreamsPerSubject)
	if err != nil {
		return nil, err
	}
	limits := newLimits(p.Now)
	steps := []step{
		requestID(p.NewID),                                 // first: every response, log line and span of the request can then name it
		p.REST.Recognize(),                                 // before whatever may answer: it decides in which form
		recoverPanic(p.Log),                                // outside of everything that can panic, so that a defect is a 500 and not a lost connection
		grpcserver.Framing(),                               // before anything may answer: every response to such a request ends the connection
		clientAddress(p.TrustedProxies),                    // before the log and the limits, which need it, and before forwarding headers are dropped
		accessLog(p.Log, p.Now),                            // outside of every refusal, so that refused requests are logged too
		observe,                                            // beside the log, for the same reason
		traced(p.TracerProvider, p.Propagator),             // inside the log, which reads the trace id afterwards; outside of all work
		rest.SecurityHeaders(),                             // before anything may answer: refusals carry them too
		limits.byAddress(p.PerAddress, p.PerProgram, cors), // before any response: preflights count, and what is refused below
		cors,                                    // before refusals, so that a page may read them, and before routing: a preflight has no route
		p.REST.Checks(),                         // the shape of the request, as at every door; its contract is known from here on
		routed(),                                // after routing, for the log, the metrics and what follows
		limits.byCredential(p.PerCredential),    // needs the route: guessing passwords has a smaller budget than reading
		rest.LimitBody(p.BodyLimit),             // before the body is read, whoever sends it
		rest.Authenticate(p.Verifier, signedIn), // needs the route: it says whether a token is needed
		limits.bySubject(p.PerSubject),          // needs the verified subject; a forged one has been refused
		streams,                                 // after the rates: who opens and closes in a loop is limited by those
		deadline(),                              // last: the time of a call begins when it is admitted
	}
	if p.Handler == nil {
		p.Handler = p.REST.Handler
	}
	return rest.Chain(p.Handler, steps...), nil
}
