package client

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// dial serves one gRPC service as program and returns the server and Identity's connection to it.
func dial(t *testing.T, program string, desc *grpc.ServiceDesc, impl any) (*grpctest.Server, *grpc.ClientConn) {
	t.Helper()
	s := grpctest.New(t, grpctest.Config{Program: program, Registrations: []grpcserver.Registration{{Desc: desc, Impl: impl}}})
	contracts, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(def, 0, "identity", program, Options{Contract: contracts, Dial: s.DialOptions(request.CallerHeader, grpctest.SPIFFE("identity"))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return s, conn
}

// within waits for a value that must come.
func within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("not within 30 s")
		panic("unreachable")
	}
}
