package grpcserver

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	"github.com/gatehouse/gatehouse/internal/tracing"
)

// malformed is the method of a call whose path cannot be one. gRPC answers it without beginning it.
const malformed = "(malformed)"

// teller begins the state of each call and tells at its end what became of it, as its client sees
// it: by the metrics and one line in the log. A stats handler, because interceptors see neither
// what fails before the request is decoded (too large, unknown, not of its type) nor what fails
// while the answer is sent.
type teller struct {
	log        *slog.Logger
	methods    map[string]*method // by full name; set before the server serves
	unknown    *method            // stands for all that the server does not have: names cost memory
	propagator propagation.TextMapPropagator
}

// tell makes the handler of a server whose methods are said later. Where nothing is exported it
// also takes over the trace of the calling program.
func tell(p Params, all *metrics) *teller {
	t := &teller{log: p.Log, unknown: &method{unknown: true, counts: all.of("other/other", "unary")}} // gRFC A66
	if !tracing.Recorded(p.Tracer) {
		t.propagator = p.Propagator
	}
	return t
}

// TagRPC makes the state of the call, which is the context of all that is done for it.
func (t *teller) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	m, known := t.methods[info.FullMethodName]
	if !known {
		m = t.unknown
	}
	if t.propagator != nil && !infrastructure(info.FullMethodName) {
		ctx = tracing.Continue(t.propagator.Extract(ctx, incoming{ctx}))
	}
	c := &rpc{method: info.FullMethodName, policy: m.policy, infra: m.infra, about: m}
	c.Begin(ctx)
	return c
}

// HandleRPC follows the call.
func (t *teller) HandleRPC(ctx context.Context, s stats.RPCStats) {
	c := rpcOf(ctx)
	if c == nil {
		if _, answered := s.(*stats.OutTrailer); answered {
			t.malformed(ctx)
		}
		return
	}
	switch s := s.(type) {
	case *stats.InHeader:
		c.header = s.Header
		c.SetID(idOf(s.Header[request.IDHeader]))
	case *stats.Begin:
		c.about.counts.begin()
	case *stats.InPayload:
		c.about.counts.received.Inc()
	case *stats.OutPayload:
		c.about.counts.sent.Inc()
	case *stats.End:
		err := s.Error
		if broken := c.broken.Load(); broken != nil {
			err, c.failure = *broken, nil // the client has that answer, whatever the handler made of it
		}
		if err == nil && c.failure != nil { // a web exchange that refused: its client has a response
			err = rpcstatus.FromError(c.failure).Err()
		}
		answer, took := status.Convert(err), s.EndTime.Sub(s.BeginTime)
		if err != nil && c.failure == nil && !c.infra {
			c.failure = rpcstatus.ToError(answer) // gRPC's own words, before or after the chain
		}
		c.about.counts.end(answer.Code(), took)
		logCall(ctx, t.log, c, answer.Code(), took)
	}
}

// malformed tells of a call that has neither method nor state.
func (t *teller) malformed(ctx context.Context) {
	c := &rpc{method: malformed, failure: rpcstatus.ToError(status.New(codes.Unimplemented, ""))}
	c.Begin(ctx)
	c.SetID(idOf(metadata.ValueFromIncomingContext(ctx, request.IDHeader)))
	t.unknown.counts.begin()
	t.unknown.counts.end(codes.Unimplemented, 0)
	logCall(c, t.log, c, codes.Unimplemented, 0)
}

// TagConn and HandleConn have nothing to do.
func (t *teller) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn has nothing to do.
func (t *teller) HandleConn(context.Context, stats.ConnStats) {}

// idOf takes over the id that the calling program gave the request, or makes one.
func idOf(values []string) string {
	if len(values) == 1 && request.ValidID(values[0]) {
		return values[0]
	}
	return uuid.NewString()
}

// incoming lets a propagator read the metadata of a call.
type incoming struct{ ctx context.Context }

// Get returns the first value of a key.
func (i incoming) Get(key string) string {
	if values := metadata.ValueFromIncomingContext(i.ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set does nothing: what came in is only read.
func (incoming) Set(string, string) {}

// Keys is not asked by the propagators of trace ids.
func (incoming) Keys() []string { return nil }

// registrar adds services to a server so that every answer names its request.
type registrar struct{ *grpc.Server }

// RegisterService adds a service.
func (r registrar) RegisterService(d *grpc.ServiceDesc, impl any) {
	named := *d
	named.Methods = make([]grpc.MethodDesc, len(d.Methods))
	for i, m := range d.Methods {
		named.Methods[i] = grpc.MethodDesc{MethodName: m.MethodName, Handler: nameRequest(m.Handler)}
	}
	r.Server.RegisterService(&named, impl)
}

// nameRequest tells the caller the id of a unary request before it is decoded: interceptors run
// after that.
func nameRequest(next grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		growStack()
		_ = grpc.SetTrailer(ctx, rpcOf(ctx).trailer()) // cannot fail before the end
		return next(srv, ctx, decode, interceptor)
	}
}

// nameStream does the same for streams, notes what gRPC itself answers within one, and answers
// methods that the server does not have.
func nameStream() link {
	return link{stream: func(c *rpc, ss grpc.ServerStream) (grpc.ServerStream, error) {
		ss.SetTrailer(c.trailer())
		if c.about.unknown {
			c.failure = rpcstatus.ToError(status.New(codes.Unimplemented, "the server has no such method"))
			return nil, rpcstatus.FromError(c.failure).Err()
		}
		return noting{ss, c}, nil
	}}
}

// noting notes the first refusal of gRPC itself: a message that is too large, or not of its type.
// The client is answered with it at once, and what the handler returns comes too late.
type noting struct {
	grpc.ServerStream
	rpc *rpc
}

// RecvMsg receives the next message.
func (n noting) RecvMsg(m any) error { return n.note(n.ServerStream.RecvMsg(m)) }

// SendMsg sends a message.
func (n noting) SendMsg(m any) error { return n.note(n.ServerStream.SendMsg(m)) }

func (n noting) note(err error) error {
	switch status.Code(err) {
	case codes.ResourceExhausted, codes.Internal, codes.Unimplemented:
		n.rpc.broken.CompareAndSwap(nil, &err)
	default: // the stream goes on, or has ended: nobody is answered with it
	}
	return err
}

// growStack makes the stack of a call's goroutine as large as calls need. Each call has a goroutine
// of its own, whose stack would otherwise be copied again and again on the way down the chain to
// the database: a tenth of what a read costs.
//
//go:noinline
func growStack() {
	var room [10 << 10]byte
	keep(&room)
}

//go:noinline
func keep(room *[10 << 10]byte) { room[0] = 1 }
