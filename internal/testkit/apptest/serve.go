package apptest

import (
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Serve stands in for another program, on the address where the sidecar would listen, until stop or
// the end of the test.
func Serve(t testing.TB, address string, register func(*grpc.Server)) (stop func()) {
	t.Helper()
	server := grpc.NewServer()
	register(server)
	l, err := net.Listen("tcp", address)
	check.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(l); err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() {
		server.Stop()
		serving.Wait()
	})
	t.Cleanup(stop)
	return stop
}
