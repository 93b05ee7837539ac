package client_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// A program's way to itself needs no port. Its calls and streams say which request they belong to,
// have no deadline of their own, and are not tried again: that is up to who asked the program.
func TestWithin(t *testing.T) {
	a, ids := &auth{}, make(chan string, 1)
	told := func(ctx context.Context) {
		ids <- metadata.ValueFromIncomingContext(ctx, request.IDHeader)[0]
	}
	a.keys = func(ctx context.Context) (*authv1.GetKeySetResponse, error) {
		told(ctx)
		if until, ok := ctx.Deadline(); ok {
			t.Errorf("the call ends at %v", until)
		}
		return nil, status.Error(codes.Unavailable, "not now")
	}
	a.watch = told
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	authv1.RegisterVerificationServiceServer(server, a)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	conn, err := client.Within(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }, client.Options{})
	check.NoError(t, err)
	defer conn.Close()
	itself := authv1.NewVerificationServiceClient(conn)
	if _, err := itself.GetKeySet(request.WithID(t.Context(), "req-1"), &authv1.GetKeySetRequest{}); status.Code(err) != codes.Unavailable || a.calls.Load() != 1 {
		t.Errorf("%d calls end with %v, want one", a.calls.Load(), err)
	}
	if id := <-ids; id != "req-1" {
		t.Errorf("the call is of the request %q", id)
	}
	stream, err := itself.WatchRevocations(request.WithID(t.Context(), "req-2"), &authv1.WatchRevocationsRequest{})
	check.NoError(t, err)
	_, _ = stream.Recv() // its end
	if id := <-ids; id != "req-2" {
		t.Errorf("the stream is of the request %q", id)
	}
}

// Options that gRPC refuses are an error where the program is wired.
func TestWithinRefusesItsOptions(t *testing.T) {
	conn, err := client.Within(nil, client.Options{Dial: []grpc.DialOption{grpc.WithDefaultServiceConfig("no JSON")}})
	if err == nil || conn != nil || errors.Unwrap(err) == nil {
		t.Errorf("made %v, %v", conn, err)
	}
}
