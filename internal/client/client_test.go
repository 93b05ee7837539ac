package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// auth is an Auth under the test's control.
type auth struct {
	authv1.UnimplementedVerificationServiceServer
	authv1.UnimplementedAuthServiceServer

	keys  func(ctx context.Context) (*authv1.GetKeySetResponse, error)
	watch func(ctx context.Context)
	calls atomic.Int32
}

func (a *auth) GetKeySet(ctx context.Context, _ *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	a.calls.Add(1)
	return a.keys(ctx)
}

func (a *auth) WatchRevocations(_ *authv1.WatchRevocationsRequest, s grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
	a.watch(s.Context())
	return nil
}

func (a *auth) SignIn(context.Context, *authv1.SignInRequest) (*authv1.SignInResponse, error) {
	a.calls.Add(1)
	return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
}

// connect serves a and returns a connection to it as the program's.
func connect(t *testing.T, a *auth, program string) *client.Conn {
	t.Helper()
	return clienttest.Dial(t, program, "auth",
		grpcserver.Registration{Desc: &authv1.VerificationService_ServiceDesc, Impl: a},
		grpcserver.Registration{Desc: &authv1.AuthService_ServiceDesc, Impl: a})
}

func TestDialRefusesWhatNoContractDeclares(t *testing.T) {
	def := meshtest.Definition(t)
	for _, c := range []struct{ program, upstream string }{{"nobody", "auth"}, {"auth", "gateway"}, {"auth", "auth"}} {
		if _, err := client.Dial(def, 0, c.program, c.upstream, client.Options{}); err == nil {
			t.Errorf("%s may dial %s", c.program, c.upstream)
		}
	}
}

// Only what the contract says is idempotent is tried again, only on UNAVAILABLE, and twice at most.
func TestRetries(t *testing.T) {
	down := apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	for _, c := range []struct {
		name     string
		fail     int32
		err      error
		attempts int32
		ok       bool
	}{
		{"a short fault is not seen", 2, down, 3, true},
		{"a long fault is told", 9, down, 3, false},
		{"other errors are not tried again", 9, apierr.New(apierr.ResourceExhausted, "BUSY", "busy"), 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &auth{}
			a.keys = func(context.Context) (*authv1.GetKeySetResponse, error) {
				if a.calls.Load() <= c.fail {
					return nil, c.err
				}
				return &authv1.GetKeySetResponse{}, nil
			}
			_, err := authv1.NewVerificationServiceClient(connect(t, a, "identity")).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
			if (err == nil) != c.ok || a.calls.Load() != c.attempts {
				t.Errorf("%d attempts end with %v, want %d, ok=%v", a.calls.Load(), err, c.attempts, c.ok)
			}
			if !c.ok && status.Convert(err).Message() != rpcstatus.FromError(c.err).Message() {
				t.Errorf("the client is told %q", status.Convert(err).Message())
			}
		})
	}
	a := &auth{}
	_, err := authv1.NewAuthServiceClient(connect(t, a, "gateway")).SignIn(t.Context(), &authv1.SignInRequest{Email: "a@example.com", Password: "p"})
	if e := rpcstatus.ToError(status.Convert(err)); e == nil || e.Reason != "DATABASE_UNAVAILABLE" || a.calls.Load() != 1 {
		t.Errorf("a call that is not idempotent was tried %d times: %v", a.calls.Load(), err)
	}
}

// Every call has the deadline of its contract, without a word of its caller.
func TestDeadlineAndRequestID(t *testing.T) {
	client := request.Client{Address: "203.0.113.7", Agent: "curl/8.5.0", Language: "de-AT, en;q=0.5"}
	a := &auth{keys: func(ctx context.Context) (*authv1.GetKeySetResponse, error) {
		if until, ok := ctx.Deadline(); !ok || time.Until(until) > contract.DefaultTimeout {
			t.Errorf("deadline is %v, %v", until, ok)
		}
		if id := request.ID(ctx); id != "req-7" {
			t.Errorf("request id is %q", id)
		}
		if got := request.ClientOf(ctx); got != client { // handed on, as of any program that calls for itself
			t.Errorf("the request came from %+v", got)
		}
		if sent := metadata.ValueFromIncomingContext(ctx, "grpc-timeout"); len(sent) != 0 {
			t.Errorf("grpc-timeout is metadata: %v", sent)
		}
		return &authv1.GetKeySetResponse{}, nil
	}}
	ctx := request.WithClient(request.WithID(t.Context(), "req-7"), client)
	if _, err := authv1.NewVerificationServiceClient(connect(t, a, "identity")).GetKeySet(ctx, &authv1.GetKeySetRequest{}); err != nil {
		t.Fatal(err)
	}
}

// A stream carries the id of the request too.
func TestStreamsCarryTheRequestID(t *testing.T) {
	ids := make(chan string, 1)
	a := &auth{watch: func(ctx context.Context) { ids <- request.ID(ctx) }}
	c := authv1.NewVerificationServiceClient(connect(t, a, "identity"))
	stream, err := c.WatchRevocations(request.WithID(t.Context(), "req-8"), &authv1.WatchRevocationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
	if id := <-ids; id != "req-8" {
		t.Errorf("the request id is %q", id)
	}
}

func TestPeerDownIsUnavailable(t *testing.T) {
	contracts := meshtest.Contract(t)
	def := meshtest.Definition(t)
	conn, err := client.Dial(def, 0, "identity", "auth", client.Options{Contract: contracts, Tracer: noop.NewTracerProvider(), Propagator: propagation.TraceContext{}, Dial: []grpc.DialOption{
		grpc.WithContextDialer(refuse),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	_, err = authv1.NewVerificationServiceClient(conn).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
	if status.Code(err) != codes.Unavailable || time.Since(began) > 3*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

// refuse is a loopback port on which nobody listens.
func refuse(context.Context, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
