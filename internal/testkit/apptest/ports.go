package apptest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Ports are where a program listens on one machine, and where its sidecar would listen for it.
type Ports struct {
	Offset          int    // of all of them, GATEHOUSE_MESH_PORT_OFFSET
	GRPC, REST, Ops string // such as "127.0.0.1:8081"

	upstreams map[string]string
}

// Upstream is where the program reaches another one that its contract says it calls.
func (p Ports) Upstream(name string) string { return p.upstreams[name] }

// FreePorts returns ports of the program at which nobody listens now, and which no other test that
// asks here gets before this one has ended. They lie below the range from which Linux takes the
// ports of outgoing connections (32768), and between those of the platforms of other tests, whose
// offsets are multiples of 100.
func FreePorts(t testing.TB, program string) Ports {
	t.Helper()
	self, err := meshtest.Definition(t).Program(program)
	check.NoError(t, err)
	for range 100 {
		if p := at(self, 50+100*rand.IntN(110)); p.reserve(t) {
			return p
		}
	}
	t.Fatal("no free ports")
	panic("unreachable")
}

func at(self mesh.Program, offset int) Ports {
	address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+offset) }
	p := Ports{Offset: offset, GRPC: address(self.Port), Ops: address(self.OpsPort), REST: address(self.RESTPort), upstreams: map[string]string{}}
	for _, u := range self.Upstreams {
		p.upstreams[u.Name] = address(u.Port)
	}
	return p
}

// reserve tells whether all ports are free, and keeps other tests from them: it listens on them at
// an address of their own, where no program of the platform does.
func (p Ports) reserve(t testing.TB) bool {
	t.Helper()
	var held []net.Listener
	release := func() {
		for _, l := range held {
			_ = l.Close()
		}
	}
	for _, address := range append(slices.Collect(maps.Values(p.upstreams)), p.GRPC, p.REST, p.Ops) {
		_, port, err := net.SplitHostPort(address)
		check.NoError(t, err)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.2", port))
		if err == nil {
			held = append(held, l)
		}
		if err != nil || !free(address) {
			release()
			return false
		}
	}
	t.Cleanup(release)
	return true
}

func free(address string) bool {
	l, err := net.Listen("tcp", address)
	return err == nil && l.Close() == nil
}

// TakenPort checks that a program does not start when somebody else listens on its address, and
// says so.
func TakenPort(t testing.TB, address string, run func() error) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	check.NoError(t, err)
	defer func() { _ = l.Close() }()
	if err := run(); err == nil || !strings.Contains(err.Error(), "another program listens on "+address) {
		t.Fatalf("got %v, want a sentence about the taken port", err)
	}
}
