package grpcserver

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// rpc is the state of one RPC, and the context of all that is done for it. Each interceptor fills
// its part; what is told of the call at its end reads it.
type rpc struct {
	request.Context // what handlers know of the request

	method   string                // as it was called
	about    *method               // what is known of the method
	policy   *contract.Method      // nil for infrastructure and for methods without a contract
	infra    bool                  // health and reflection: no caller, no policy
	header   metadata.MD           // of the request, in lower case; only to be read
	service  string                // calling program
	inside   bool                  // the calling program is this one: somebody came to its REST door
	who      *request.Subject      // all that the token says; nil without one
	admitted bool                  // authorize let the call, or the opening of the stream, pass
	event    *event.Event          // of an audited call, as far as the request says it
	failure  *apierr.Error         // what the client was told, with its cause
	refused  error                 // a message of the stream that was refused
	denied   *access.Object        // what the subject was refused, for the trail
	stream   bool                  // not a unary call
	until    context.Context       // of a stream: what its handler runs by, and what it sends and receives ends with
	standing access.Standing       // what a stream was admitted by
	broken   atomic.Pointer[error] // what gRPC itself answered to a message of the stream

	run run // of a unary call through the chain
}

// Value returns the state itself, or what the context knows.
func (c *rpc) Value(key any) any {
	if key == (rpcKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// trailer names the request to its caller. In the trailer, because a client tries no call again
// that was answered with a header (gRFC A6).
func (c *rpc) trailer() metadata.MD {
	return metadata.MD{request.IDHeader: {request.ID(c)}}
}

// deny notes what the subject was refused.
func (c *rpc) deny(m proto.Message) {
	about := access.ObjectOf(c.policy, m)
	c.denied = &about
}

type rpcKey struct{}

func rpcOf(ctx context.Context) *rpc {
	c, _ := ctx.Value(rpcKey{}).(*rpc)
	return c
}

// middleware is one concern of the chain, written once for unary calls and streams.
type middleware struct {
	// around runs the rest of the chain by next, at most once; nil when the concern is about
	// messages alone.
	around func(ctx context.Context, c *rpc, next func(context.Context) error) error
	// message sees each request message before the handler does, and may add to what the handler's
	// context knows; nil when the concern needs none.
	message func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error)
}

// link is a place in the chain: a middleware, for unary calls and for streams, or what is done to
// streams alone before the rest of the chain sees them.
type link struct {
	middleware
	stream func(c *rpc, ss grpc.ServerStream) (grpc.ServerStream, error)
}

// both makes a link of a middleware.
func both(m middleware) link { return link{middleware: m} }

type chain []link

// unary runs a unary call through the chain. It is one interceptor, whose state is part of the
// call's: an interceptor for each middleware would cost each some allocations.
func (c chain) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	call := rpcOf(ctx)
	r := &call.run
	r.rest, r.req, r.handler = c, req, handler
	r.next = func(ctx context.Context) error { return r.step(ctx, call) }
	if err := r.next(ctx); err != nil {
		return nil, err
	}
	return r.resp, nil
}

// run is how far a unary call has come.
type run struct {
	rest    chain
	message func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error) // of the middleware that runs, unless nil
	next    func(context.Context) error                                                 // step
	req     any
	handler grpc.UnaryHandler
	resp    any
}

// step shows the request to the middleware that goes on, and runs the rest of the chain.
func (r *run) step(ctx context.Context, c *rpc) error {
	var err error
	if ctx, err = r.show(ctx, c); err != nil {
		return err
	}
	for len(r.rest) > 0 {
		m := r.rest[0].middleware
		r.rest, r.message = r.rest[1:], m.message
		if m.around != nil {
			return m.around(ctx, c, r.next)
		}
		if ctx, err = r.show(ctx, c); err != nil {
			return err
		}
	}
	r.resp, err = r.handler(ctx, r.req)
	return err
}

// show shows the request to the middleware that runs.
func (r *run) show(ctx context.Context, c *rpc) (context.Context, error) {
	if m, ok := r.req.(proto.Message); ok && r.message != nil {
		return r.message(ctx, c, m)
	}
	return ctx, nil
}
