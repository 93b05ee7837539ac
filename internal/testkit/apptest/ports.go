package apptest

import (
	"fmt"
	"math/rand/v2"
	"net"
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

// FreePorts returns ports of the program at which nobody listens now.
func FreePorts(t testing.TB, program string) Ports {
	t.Helper()
	self, err := meshtest.Definition(t).Program(program)
	check.NoError(t, err)
	for range 100 {
		if p := at(self, rand.IntN(mesh.MaxPortOffset)); p.free() {
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

func (p Ports) free() bool {
	for _, address := range p.upstreams {
		if !free(address) {
			return false
		}
	}
	return free(p.GRPC) && free(p.Ops) && free(p.REST)
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
