package grpcserver

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// stream runs a stream through the chain. It is one interceptor: the goroutine of a stream waits at
// the end of the chain for as long as the stream is open, and an interceptor for each middleware
// would double the stack that it holds.
func (c chain) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	f := &flow{rest: c, rpc: rpcOf(ss.Context()), stream: ss, srv: srv, handler: handler}
	f.next = f.goOn
	return f.step()
}

// flow is how far a stream has come through the chain.
type flow struct {
	rest    chain
	rpc     *rpc
	stream  grpc.ServerStream                                                           // as the rest of the chain sees it
	message func(ctx context.Context, c *rpc, m proto.Message) (context.Context, error) // of the middleware that runs, unless nil
	next    func(context.Context) error                                                 // goOn
	srv     any
	handler grpc.StreamHandler
}

// step runs the rest of the chain.
func (f *flow) step() error {
	for len(f.rest) > 0 {
		l := f.rest[0]
		f.rest, f.message = f.rest[1:], l.message
		switch {
		case l.stream != nil:
			var err error
			if f.stream, err = l.stream(f.rpc, f.stream); err != nil {
				return err
			}
		case l.around != nil:
			err := l.around(f.stream.Context(), f.rpc, f.next)
			if err == nil {
				err = f.rpc.refused // the handler took the refusal of a message for the end of the stream
			}
			return err
		default:
			f.wrap(f.stream.Context())
		}
	}
	return f.handler(f.srv, f.stream)
}

// goOn runs the rest of the chain by the context that a middleware made.
func (f *flow) goOn(ctx context.Context) error {
	if f.message != nil || ctx != f.stream.Context() {
		f.wrap(ctx)
	}
	return f.step()
}

func (f *flow) wrap(ctx context.Context) {
	f.stream = &stream{ServerStream: f.stream, ctx: ctx, rpc: f.rpc, check: f.message}
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
