package client_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// recorded is a connection that keeps what passes it.
type recorded struct {
	net.Conn
	mu            sync.Mutex
	read, written bytes.Buffer
}

// Read keeps what the server sends.
func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read.Write(p[:n])
	return n, err
}

// Write keeps what the client sends.
func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written.Write(p)
	return r.Conn.Write(p)
}

// pings counts those in what one side sent, without answers to the other's.
func pings(t *testing.T, sent io.Reader) (n int) {
	t.Helper()
	frames := http2.NewFramer(nil, sent)
	for {
		f, err := frames.ReadFrame()
		if err != nil {
			return n // the last one may be half there
		}
		if ping, ok := f.(*http2.PingFrame); ok && !ping.IsAck() {
			n++
		}
	}
}

// Neither side measures the connection: gRPC would send a ping with nearly every message that it
// receives, and each costs both programs and their sidecars.
func TestCallsSendNoPings(t *testing.T) {
	a := &auth{keys: func(context.Context) (*authv1.GetKeySetResponse, error) {
		return &authv1.GetKeySetResponse{MaxAge: durationpb.New(time.Minute)}, nil
	}}
	s := grpctest.New(t, grpctest.Config{Program: "auth", Registrations: []grpcserver.Registration{{Desc: &authv1.VerificationService_ServiceDesc, Impl: a}}})
	var seen *recorded
	conn, err := client.Dial(meshtest.Definition(t), 0, "identity", "auth", client.Options{
		Contract: meshtest.Contract(t),
		Dial: append(s.DialOptions(request.CallerHeader, grpctest.SPIFFE("identity")), grpc.WithContextDialer(func(ctx context.Context, to string) (net.Conn, error) {
			c, err := s.Connect(ctx, to)
			seen = &recorded{Conn: c}
			return seen, err
		})),
	})
	check.NoError(t, err)
	for range 20 {
		_, err := authv1.NewVerificationServiceClient(conn).GetKeySet(t.Context(), &authv1.GetKeySetRequest{})
		check.NoError(t, err)
	}
	check.NoError(t, conn.Close())
	seen.mu.Lock()
	defer seen.mu.Unlock()
	if n := pings(t, &seen.read); n > 0 {
		t.Errorf("the server sent %d pings", n)
	}
	seen.written.Next(len(http2.ClientPreface))
	if n := pings(t, &seen.written); n > 0 {
		t.Errorf("the client sent %d pings", n)
	}
}
