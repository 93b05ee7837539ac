package rawcall_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
	"github.com/gatehouse/gatehouse/internal/request"
)

// service fails the test when a handler runs with a message.
type service struct {
	healthpb.UnimplementedHealthServer
	t *testing.T
}

func (s service) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	s.t.Error("the message could be read and the handler ran")
	return &healthpb.HealthCheckResponse{}, nil
}

func (s service) Watch(*healthpb.HealthCheckRequest, grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	s.t.Error("the message could be read and the streaming handler ran")
	return nil
}

// headers keeps the caller header of every call.
type headers struct{ callers chan []string }

func (h headers) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	h.callers <- md.Get(request.CallerHeader)
	return ctx
}
func (headers) HandleRPC(context.Context, stats.RPCStats)                         {}
func (headers) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (headers) HandleConn(context.Context, stats.ConnStats)                       {}

// No call that is let through may change anything: no handler may ever see its message.
func TestNoHandlerRuns(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := headers{callers: make(chan []string, 10)}
	server := grpc.NewServer(grpc.StatsHandler(seen))
	healthpb.RegisterHealthServer(server, service{t: t})
	go func() { _ = server.Serve(listener) }() // ends with Stop
	defer server.Stop()

	for _, method := range []string{healthpb.Health_Check_FullMethodName, healthpb.Health_Watch_FullMethodName} {
		_, err := rawcall.Plain(t.Context(), listener.Addr().String(), method)
		if status.Code(err) != codes.Internal {
			t.Errorf("%s: %v, want Internal: the message cannot be read", method, err)
		}
		if got := <-seen.callers; !slices.Equal(got, []string{rawcall.Forged}) {
			t.Errorf("%s: the call came with caller %q, want the forged one", method, got)
		}
	}
}
