package registry_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// Methods of the callee. All messages are BytesValue.
const (
	echo   = "/test.v1.Test/Echo"   // unary: answers what it is sent
	flood  = "/test.v1.Test/Flood"  // sends for ever, as fast as it is read
	ingest = "/test.v1.Test/Ingest" // answers each message with itself
	sink   = "/test.v1.Test/Sink"   // reads one message and no more
)

// prefix of the pair's services in Consul: what finds a service by its name finds it with one.
const prefix request.ServicePrefix = "gatehouse-"

// pair is a caller and a callee of a mesh of its own, on free ports.
func pair(t testing.TB) (*mesh.Definition, mesh.Program, mesh.Program) {
	t.Helper()
	p := freeport.GetN(t, 13)
	callee := mesh.Program{Name: "callee", Port: p[0], OpsPort: p[1], Public: p[2], Admin: p[3]}
	caller := mesh.Program{Name: "caller", Port: p[4], OpsPort: p[5], Public: p[6], Admin: p[7],
		Upstreams: []mesh.Upstream{{Name: "callee", Port: p[8], Protocol: "grpc"}, {Name: "postgres", Port: p[9], Protocol: "tcp"}}}
	def := &mesh.Definition{
		Programs: []mesh.Program{callee, caller},
		Backings: []mesh.Backing{{Name: "postgres", Port: p[10], Public: p[11], Admin: p[12], Callers: []string{"caller"}}},
	}
	for path, longLived := range map[string]bool{echo: false, flood: true, ingest: true, sink: true} {
		def.Methods = append(def.Methods, mesh.Method{Path: path, Callee: "callee", Callers: []string{"caller"}, LongLived: longLived})
	}
	return def, callee, caller
}

// program is what listens on the callee's port.
type program struct {
	faults

	server *grpc.Server
	sent   atomic.Int64 // messages of all floods
}

// serve runs the callee.
func serve(t testing.TB, port int) *program {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	p := &program{}
	p.server = grpc.NewServer(grpc.UnknownServiceHandler(p.answer))
	healthpb.RegisterHealthServer(p.server, health.NewServer()) // Consul asks it
	go func() { _ = p.server.Serve(listener) }()
	t.Cleanup(p.server.Stop)
	return p
}

func (p *program) answer(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	if method == echo {
		if err := p.counted(); err != nil {
			return err
		}
	}
	for {
		m := &wrapperspb.BytesValue{}
		err := stream.RecvMsg(m)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if method == sink {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		for err = stream.SendMsg(m); method == flood && err == nil; err = stream.SendMsg(m) {
			p.sent.Add(1)
		}
		if err != nil {
			return err
		}
	}
}

// way is a caller that reaches a callee through two real sidecars, which are configured by the
// definition's entries and registrations alone.
type way struct {
	consul         *consultest.Server
	callee, caller mesh.Program
	program        *program
	conn           *client.Conn
}

func twoSidecars(t testing.TB) *way {
	t.Helper()
	w := &way{consul: consultest.New(t)}
	var def *mesh.Definition
	def, w.callee, w.caller = pair(t)
	for _, entry := range registry.ConfigEntries(def, prefix) {
		check.Within(t, 20*time.Second, "config entry", func() error { // a Consul that has just started refuses intentions
			_, _, err := w.consul.ConfigEntries().Set(entry, nil)
			return err
		})
	}
	w.program = serve(t, w.callee.Port)
	for _, p := range []mesh.Program{w.callee, w.caller} {
		keep(t, w.consul, def, p.Name, 1)
		check.Within(t, 20*time.Second, "registration", func() error {
			_, _, err := w.consul.Agent().Service(registry.SidecarID(prefix.Service(p.Name)), nil)
			return err
		})
		envoy(t, w.consul, p, 1)
	}
	var err error
	if w.conn, err = client.Dial(def, 0, "caller", "callee", client.Options{Contract: &contract.Contract{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	check.Within(t, time.Minute, "call through both sidecars", func() error { return w.echo(t.Context()) })
	return w
}

// echo makes a unary call.
func (w *way) echo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return w.conn.Invoke(ctx, echo, &wrapperspb.BytesValue{Value: []byte("x")}, &wrapperspb.BytesValue{})
}

// open opens a stream and sends its first message.
func (w *way) open(ctx context.Context, method string, size int) (grpc.ClientStream, error) {
	stream, err := w.conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return nil, err
	}
	return stream, stream.SendMsg(&wrapperspb.BytesValue{Value: make([]byte, size)})
}

// listen opens a stream that only the callee sends, for ever.
func (w *way) listen(ctx context.Context) (grpc.ClientStream, error) {
	stream, err := w.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, flood)
	if err != nil {
		return nil, err
	}
	return stream, stream.SendMsg(&wrapperspb.BytesValue{Value: make([]byte, 16<<10)})
}

// stuckReaders open streams that send for ever, read one message each and no more, and wait until
// the callee can send nothing further.
func (w *way) stuckReaders(ctx context.Context, t testing.TB, n int) {
	t.Helper()
	for range n {
		stream, err := w.listen(ctx)
		if err == nil {
			err = stream.RecvMsg(&wrapperspb.BytesValue{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	check.Within(t, time.Minute, "all readers are stuck", func() error {
		before := w.program.sent.Load()
		<-time.After(300 * time.Millisecond)
		if more := w.program.sent.Load() - before; more > 0 {
			return fmt.Errorf("%d messages more", more)
		}
		return nil
	})
}

// envoy runs the sidecar of an instance of a program, with the bootstrap that consul prints.
func envoy(t testing.TB, consul *consultest.Server, p mesh.Program, instance int) {
	t.Helper()
	bootstrap := exec.CommandContext(t.Context(), consul.Program, "connect", "envoy", "-sidecar-for", prefix.Service(mesh.InstanceID(p.Name, instance)), "-bootstrap", "-ignore-envoy-compatibility",
		"-http-addr", consul.HTTP, "-grpc-addr", consul.GRPC, "-admin-bind", fmt.Sprintf("127.0.0.1:%d", p.Admin))
	bootstrap.Stderr = os.Stderr
	config, err := bootstrap.Output()
	if err != nil {
		t.Fatalf("bootstrap of %s: %v", p.Name, err)
	}
	run(t, config)
}

// run runs Envoy with a bootstrap.
func run(t testing.TB, config []byte) {
	t.Helper()
	program, err := consultest.Find("envoy")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	file := filepath.Join(t.TempDir(), "bootstrap.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn")
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func dial(t testing.TB, port int) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}
