// Package clienttest connects tests of what calls another program to a server that stands in for
// it, through what stands for a pair of sidecars, and has what stands in for a program's upstreams
// in the tests of whole programs. Only tests import it.
package clienttest

import (
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Dial serves gRPC services as the callee and returns the caller's way to it, which ends with the
// test.
func Dial(t testing.TB, caller, callee string, services ...grpcserver.Registration) *client.Conn {
	t.Helper()
	s := grpctest.New(t, grpctest.Config{Program: callee, Registrations: services})
	contracts := meshtest.Contract(t)
	def := meshtest.Definition(t)
	conns := client.NewConns(def, 0, caller, client.Options{
		Contract: contracts, Dial: s.DialOptions(request.CallerHeader, grpctest.SPIFFE(caller)),
	})
	t.Cleanup(func() {
		if err := conns.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	conn, err := conns.Conn(callee)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := conns.Conn(callee); err != nil || again != conn {
		t.Errorf("a second connection is made: %v", err)
	}
	return conn
}

// Within waits for a value that must come.
func Within[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("not within 30 s")
		panic("unreachable")
	}
}
