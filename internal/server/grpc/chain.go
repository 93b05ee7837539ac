package grpcserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
)

// rpc is the state of one RPC. Each interceptor fills its part; the access log reads it.
type rpc struct {
	method   string
	policy   *contract.Method // nil for infrastructure and for methods without a contract
	infra    bool             // health and reflection: no caller, no policy
	service  string           // calling program
	who      *request.Subject // all that the token says; nil without one
	admitted bool             // authorize let the call, or the opening of the stream, pass
	event    event.Event      // of an audited call, as far as the request says it
	failure  *apierr.Error    // what the client was told, with its cause
	refused  error            // a message of the stream that was refused
	denied   *access.Object   // what the subject was refused, for the trail
	ended    chan struct{}    // closed when the context of a long-lived client stream's handler ends
	standing access.Standing  // what a long-lived stream was admitted by
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
	// around runs the rest of the chain by next, at most once.
	around func(ctx context.Context, c *rpc, next func(context.Context) error) error
	// message sees each request message before the handler does, and may add to what the handler's
	// context knows; nil when the concern needs none.
	message func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error)
}

// link is a place in the chain: a middleware or a pair of ready-made interceptors.
type link struct {
	unary  grpc.UnaryServerInterceptor
	stream grpc.StreamServerInterceptor
}

type chain []link

func (c chain) unary() []grpc.UnaryServerInterceptor {
	all := make([]grpc.UnaryServerInterceptor, len(c))
	for i, l := range c {
		all[i] = l.unary
	}
	return all
}

func (c chain) stream() []grpc.StreamServerInterceptor {
	all := make([]grpc.StreamServerInterceptor, len(c))
	for i, l := range c {
		all[i] = l.stream
	}
	return all
}

// both makes a link of a middleware.
func both(m middleware) link { return link{unary: m.unary, stream: m.stream} }

func (m middleware) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	c := rpcOf(ctx)
	err = m.around(ctx, c, func(ctx context.Context) error {
		if message, ok := req.(proto.Message); ok && m.message != nil {
			var err error
			if ctx, err = m.message(ctx, c, message); err != nil {
				return err
			}
		}
		resp, err = handler(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (m middleware) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	c := rpcOf(ss.Context())
	err := m.around(ss.Context(), c, func(ctx context.Context) error {
		return handler(srv, &stream{ServerStream: ss, ctx: ctx, rpc: c, check: m.message})
	})
	if err == nil && c != nil {
		return c.refused // the handler took the refusal of a message for the end of the stream
	}
	return err
}

// stream carries the context of a middleware and shows it each request message.
type stream struct {
	grpc.ServerStream
	ctx   context.Context // a ServerStream is how gRPC hands over the context
	rpc   *rpc
	check func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error)
}

// Context returns the context that the middleware made.
func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg receives the next request message and refuses what the middleware refuses.
func (s *stream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	message, ok := m.(proto.Message)
	if !ok || s.check == nil {
		return nil
	}
	ctx, err := s.check(s.ctx, s.rpc, message)
	if err != nil {
		s.rpc.refused = err
		return err
	}
	if ctx != s.ctx { // only for a message that comes before the handler runs: nobody else reads the context yet
		s.ctx = ctx
	}
	return nil
}

// begin makes the state of the RPC. It is the first link, so every other finds one.
func begin(p Params) link {
	open := func(ctx context.Context, method string) context.Context {
		c := &rpc{method: method, infra: infrastructure(method)}
		if policy, ok := p.Contract.Method(method); ok {
			c.policy = policy
		}
		return context.WithValue(ctx, rpcKey{}, c)
	}
	return link{
		unary: func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(open(ctx, info.FullMethod), req)
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			ctx := open(ss.Context(), info.FullMethod)
			return handler(srv, &wire{ServerStream: ss, ctx: ctx, rpc: rpcOf(ctx)})
		},
	}
}

// wire is the stream below all middlewares.
type wire struct {
	grpc.ServerStream
	ctx context.Context // a ServerStream is how gRPC hands over the context
	rpc *rpc
}

// Context returns the context with the state of the RPC.
func (w *wire) Context() context.Context { return w.ctx }

// RecvMsg receives the next message. gRPC's own only ends with the connection or the client; a handler that waits for the next message of
// a long-lived stream must also notice that its token has expired or that the program stops.
func (w *wire) RecvMsg(m any) error {
	if w.rpc.ended == nil {
		return w.ServerStream.RecvMsg(m)
	}
	received := make(chan error, 1)
	go func() { received <- w.ServerStream.RecvMsg(m) }() // ends at the latest when the handler has returned
	select {
	case err := <-received:
		return err
	case <-w.rpc.ended:
		return context.Canceled
	}
}

// interrupt wakes a handler that waits for a message when its context ends.
func interrupt() link {
	return link{
		unary: func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(ctx, req)
		},
		stream: func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if c := rpcOf(ss.Context()); info.IsClientStream && c.policy != nil && c.policy.LongLived {
				ended := make(chan struct{})
				c.ended = ended
				defer context.AfterFunc(ss.Context(), func() { close(ended) })()
			}
			return handler(srv, ss)
		},
	}
}
