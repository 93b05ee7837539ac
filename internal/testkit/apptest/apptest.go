// Package apptest asks a whole program that a test has started: its gRPC port as the sidecar does,
// and its ops port. Only tests import it.
package apptest

import (
	"context"
	"io"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// As is the context of an RPC that the sidecar says comes from the program.
func As(ctx context.Context, program string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, request.CallerHeader, grpctest.SPIFFE(program))
}

// Dial connects to the program, which need not listen yet. The test closes the connection.
func Dial(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check.NoError(t, err)
	return conn
}

// WaitHealth waits until the health of the program and of the service is want.
func WaitHealth(t testing.TB, conn *grpc.ClientConn, service string, want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	for _, name := range []string{"", service} {
		check.Eventually(t, "health is "+want.String(), func() bool {
			r, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
			return err == nil && r.GetStatus() == want
		})
	}
}

// Get returns what the ops port answers at the path; the test fails when it is not with the status
// want.
func Get(t testing.TB, address, path string, want int) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	check.NoError(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	check.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	check.NoError(t, err)
	if response.StatusCode != want {
		t.Errorf("%s answers %d: %s; want %d", path, response.StatusCode, body, want)
	}
	return string(body)
}
