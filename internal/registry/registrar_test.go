package registry_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/freeport"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// pair is a caller and a callee of a mesh of its own, on free ports.
func pair(t *testing.T) (*mesh.Definition, mesh.Program, mesh.Program) {
	t.Helper()
	p := freeport.GetN(t, 9)
	callee := mesh.Program{Name: "callee", Port: p[0], OpsPort: p[1], Public: p[2], Admin: p[3]}
	caller := mesh.Program{Name: "caller", Port: p[4], OpsPort: p[5], Public: p[6], Admin: p[7],
		Upstreams: []mesh.Upstream{{Name: "callee", Port: p[8], Protocol: "grpc"}}}
	return &mesh.Definition{Programs: []mesh.Program{callee, caller}}, callee, caller
}

// serve runs the gRPC health service, whose Watch is an open stream, on the callee's port.
func serve(t *testing.T, port int) {
	t.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	healthpb.RegisterHealthServer(s, health.NewServer())
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(s.Stop)
}

// keep runs a registrar until the test ends.
func keep(t *testing.T, consul *consultest.Server, def *mesh.Definition, program string) {
	t.Helper()
	r, err := registry.Registration(def, program, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.NewClient(consul.HTTP, registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	registrar := registry.NewRegistrar(client, r, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		registrar.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// status returns an error unless the agent has the check in the state.
func status(consul *consultest.Server, check, want string) error {
	checks, err := consul.Agent().Checks()
	if err != nil {
		return err
	}
	c, ok := checks[check]
	if !ok || c.Status != want {
		return fmt.Errorf("check %s is %+v, want %s", check, c, want)
	}
	return nil
}

func TestRegistrarKeepsTheRegistration(t *testing.T) {
	consul := consultest.New(t)
	def, callee, _ := pair(t)
	keep(t, consul, def, "callee")
	check.Within(t, 5*time.Second, "registration", func() error { return status(consul, "service:callee", api.HealthCritical) })
	serve(t, callee.Port)
	check.Within(t, 10*time.Second, "healthy program", func() error { return status(consul, "service:callee", api.HealthPassing) })
	for _, id := range []string{"callee", registry.SidecarID("callee")} { // each of both alone, as after a lost state
		if err := consul.Agent().ServiceDeregister(id); err != nil {
			t.Fatal(err)
		}
		check.Within(t, 10*time.Second, "registration after "+id+" was lost", func() error {
			for _, id := range []string{"callee", registry.SidecarID("callee")} {
				if _, _, err := consul.Agent().Service(id, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// A caller reaches a callee through two real sidecars that are configured by nothing but the registrations, with more open streams than
// the 1,024 that Envoy admits by default.
func TestSidecarsFromTheRegistration(t *testing.T) {
	consul := consultest.New(t)
	def, callee, caller := pair(t)
	for _, entry := range []api.ConfigEntry{
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "callee", Protocol: "grpc"},
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "caller", Protocol: "grpc"},
		&api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "callee", RequestTimeout: 240 * time.Hour},
	} {
		if _, _, err := consul.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, callee.Port)
	for _, p := range []mesh.Program{callee, caller} {
		keep(t, consul, def, p.Name)
		check.Within(t, 5*time.Second, "registration", func() error {
			_, _, err := consul.Agent().Service(registry.SidecarID(p.Name), nil)
			return err
		})
		envoy(t, consul, p)
	}
	// Envoy admits 1,024 streams to one connection, so that a client needs two for more.
	conns := []*grpc.ClientConn{dial(t, caller.Upstreams[0].Port), dial(t, caller.Upstreams[0].Port)}
	check.Within(t, 30*time.Second, "call through both sidecars", func() error {
		_, err := healthpb.NewHealthClient(conns[0]).Check(t.Context(), &healthpb.HealthCheckRequest{})
		return err
	})
	check.Within(t, 10*time.Second, "sidecar's check", func() error { return status(consul, "sidecar:callee", api.HealthPassing) })
	const streams = 1500
	var opening sync.WaitGroup
	for i := range streams {
		opening.Go(func() {
			stream, err := healthpb.NewHealthClient(conns[i%2]).Watch(t.Context(), &healthpb.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	opening.Wait()
	// The control: what the callee does not serve is answered by the callee, so the streams went all the way.
	if err := conns[0].Invoke(t.Context(), "/none.v1.None/None", &healthpb.HealthCheckRequest{}, &healthpb.HealthCheckResponse{}); grpcstatus.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method answers %v", err)
	}
}

func dial(t *testing.T, port int) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("passthrough:///127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// envoy runs the sidecar of a program, with the bootstrap that consul prints.
func envoy(t *testing.T, consul *consultest.Server, p mesh.Program) {
	t.Helper()
	program, err := consultest.Find("envoy")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	bootstrap := exec.CommandContext(t.Context(), consul.Program, "connect", "envoy", "-sidecar-for", p.Name, "-bootstrap", "-ignore-envoy-compatibility",
		"-http-addr", consul.HTTP, "-grpc-addr", consul.GRPC, "-admin-bind", fmt.Sprintf("127.0.0.1:%d", p.Admin))
	bootstrap.Stderr = os.Stderr
	config, err := bootstrap.Output()
	if err != nil {
		t.Fatalf("bootstrap of %s: %v", p.Name, err)
	}
	file := filepath.Join(t.TempDir(), p.Name+".json")
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
