package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/fx"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/fxmod"
	"github.com/gatehouse/gatehouse/internal/health"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/registry"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/apptest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/token"
)

func TestMain(m *testing.M) {
	// The test kit's port allocator looks at its ports for as long as the process runs.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/hashicorp/consul/sdk/freeport.checkFreedPorts"))
}

// name is the mesh name under which the tests run; nothing of it is served.
const (
	name     = "identity"
	grpcPort = 8081
	opsPort  = 8481
)

func free(port int) bool {
	l, err := net.Listen("tcp", fxmod.Loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func options(offset int) fxmod.Config {
	c := fxmod.Config{}
	c.Log.Level = "error"
	c.Mesh.PortOffset, c.Mesh.TrustDomain, c.Mesh.Datacenter = offset, "test.consul", "dc1"
	c.Token = token.Config{Issuer: "https://gatehouse.test", Audience: "gatehouse"}
	c.Drain = fxmod.DrainConfig{Delay: 50 * time.Millisecond, Timeout: time.Second}
	return c
}

// issuer is a KeySource and Revocations that know nothing.
type issuer struct{}

func (issuer) Key(context.Context, string) (token.Key, error) {
	return token.Key{}, token.ErrUnknownKey
}
func (issuer) Revoked(string) (bool, error) { return false, nil }

// local is a service that is its own issuer.
func local() fx.Option {
	return fx.Options(
		fx.Provide(func() token.KeySource { return issuer{} }, func() token.Revocations { return issuer{} }),
		fxmod.LocalTokens(),
	)
}

func TestModulesFitTogether(t *testing.T) {
	for kind, app := range map[string]fx.Option{
		"a service that is the issuer": fx.Options(local(), Postgres(pg.Config{}, "identity", nil), Module(name, options(0))),
		"a service that is not":        fx.Options(fxmod.RemoteTokens(), Module(name, options(0))),
		"the gateway":                  fx.Options(fxmod.RemoteTokens(), fxmod.Base("gateway", options(0))),
	} {
		t.Run(kind, func(t *testing.T) {
			if err := fx.ValidateApp(app); err != nil {
				t.Error(err)
			}
		})
	}
	if err := fx.ValidateApp(Module(name, options(0))); err == nil {
		t.Error("a service without a verifier is valid")
	}
}

// A program whose contract audits something and that is wired without an outbox does not start.
func TestNoOutboxNoServer(t *testing.T) {
	linked := AsRegistration(func() grpcserver.Registration {
		return grpcserver.Registration{
			Impl: struct{}{}, Desc: &grpc.ServiceDesc{
				ServiceName: "gatehouse.identity.v1.OrganizationDirectoryService", HandlerType: (*any)(nil),
				Methods: []grpc.MethodDesc{{MethodName: "CreateOrganization"}},
			},
		}
	})
	app := fx.New(fx.NopLogger, local(), linked, Module(name, options(0)))
	if err := app.Err(); err == nil || !strings.Contains(err.Error(), "add service.Outbox") {
		t.Errorf("the program is wired: %v", err)
	}
}

// ask returns the gRPC health of the program, or an error.
func ask(ctx context.Context, conn grpc.ClientConnInterface) (healthpb.HealthCheckResponse_ServingStatus, error) {
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return answer.GetStatus(), err
}

func dial(t *testing.T, offset int) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+fxmod.Loopback(grpcPort+offset), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func get(t *testing.T, offset int, path string) (int, string) {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + fxmod.Loopback(opsPort+offset) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// A program starts, serves, and on its way out first says NOT_SERVING, then waits for what runs,
// but not for who watches its health, and keeps its ops listener to the end.
func TestStartServeDrainStop(t *testing.T) {
	offset := apptest.FreePorts(t, name).Offset
	var order []string
	var mu sync.Mutex
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	c := options(offset)
	c.Drain.Timeout = time.Minute // the test ends the drain, with its call
	held := newHeldCall(t)
	app := fxmod.New(
		held.served(),
		fx.Provide(func() Work { return noted(note) }),
		local(),
		fxmod.AsCheck(func() health.Check {
			return health.Check{Name: "own", Func: func(context.Context) error { return nil }}
		}),
		Module(name, c),
	)
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, offset)
	check.Eventually(t, "serving", func() bool {
		status, err := ask(t.Context(), conn)
		return err == nil && status == healthpb.HealthCheckResponse_SERVING
	})
	checkPages(t, offset)
	called := held.begin(t, conn)
	watch, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watched: %v, %v", first, err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- app.Stop(context.Background()) }()
	if next, err := watch.Recv(); err != nil || next.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("watched on the way out: %v, %v", next, err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ends with %v", err)
	}
	if status, _ := get(t, offset, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d during the drain", status)
	}
	note("drained")
	close(held.release)
	if err := <-called; err != nil {
		t.Errorf("the call that ran during the drain: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
	want := []string{"receiver starts", "first starts", "second starts", "drained", "second stops", "first stops", "receiver stops"}
	if !slices.Equal(order, want) {
		t.Errorf("the order is %q, want %q", order, want)
	}
	if !free(grpcPort+offset) || !free(opsPort+offset) {
		t.Error("a port is still taken")
	}
}

// noted is work that notes when it starts and stops.
func noted(note func(what string)) Work {
	own := func(what string) fxmod.Part {
		return fxmod.Part{
			Name: what, Start: func(context.Context) error { note(what + " starts"); return nil },
			Stop: func(context.Context) error { note(what + " stops"); return nil },
		}
	}
	return Work{Beside: fxmod.Parts{own("first"), own("second")}, Receiving: fxmod.Parts{own("receiver")}}
}

func checkPages(t *testing.T, offset int) {
	t.Helper()
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/version": 200, "/debug/pprof/": 404} {
		if status, body := get(t, offset, path); status != want {
			t.Errorf("%s answers %d %s", path, status, body)
		}
	}
	check.Eventually(t, "the metrics of the gRPC server and the build", func() bool { // a call is counted after it is answered
		_, body := get(t, offset, "/metrics")
		return strings.Contains(body, "grpc_server_handled_total") && strings.Contains(body, "gatehouse_build_info")
	})
}

// What is only made, and not started, runs nothing: no listener, no loop.
func TestConstructorsStartNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var conns *client.Conns
	app := fxmod.New(fxmod.RemoteTokens(), Module(name, options(0)), fx.Populate(&conns))
	if err := app.Err(); err != nil {
		t.Fatal(err)
	}
	if err := conns.Close(); err != nil { // gRPC's own, which wait for the first call
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

// A taken port stops the start with one sentence that names the port and says how to fix it.
func TestTakenPort(t *testing.T) {
	for _, port := range []int{grpcPort, opsPort} {
		offset := apptest.FreePorts(t, name).Offset
		l, err := net.Listen("tcp", fxmod.Loopback(port+offset))
		if err != nil {
			t.Fatal(err)
		}
		failure := fxmod.Run(fxmod.New(local(), Module(name, options(offset))))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if text := fmt.Sprint(failure); strings.Contains(text, "\n") || !strings.Contains(text, fxmod.Loopback(port+offset)) || !strings.Contains(text, "stop it") {
			t.Errorf("the start says %q", text)
		}
	}
}

// R94: a server that does not know its mesh does not start.
func TestNoMeshNoServer(t *testing.T) {
	for variable, forget := range map[string]func(*fxmod.Config){
		"GATEHOUSE_MESH_TRUST_DOMAIN": func(c *fxmod.Config) { c.Mesh.TrustDomain = "" },
		"GATEHOUSE_MESH_DATACENTER":   func(c *fxmod.Config) { c.Mesh.Datacenter = "" },
	} {
		c := options(0)
		forget(&c)
		text := fmt.Sprint(fxmod.Run(fxmod.New(local(), Module(name, c))))
		if strings.Contains(text, "\n") || !strings.Contains(text, variable+" is empty: set it") {
			t.Errorf("without %s the start says %q", variable, text)
		}
	}
}

// GATEHOUSE_CONSUL_REGISTER: a program registers itself with a real agent, which then sees it pass.
// After the program's end it is still registered, and the agent sends nobody there.
func TestProgramRegistersItself(t *testing.T) {
	consul := consultest.New(t)
	c := options(apptest.FreePorts(t, name).Offset)
	var cli struct {
		Consul registry.Config `embed:""`
	}
	environ := []string{"GATEHOUSE_CONSUL_REGISTER=true", "GATEHOUSE_CONSUL_ADDRESS=" + consul.HTTP}
	if _, err := config.Parse(name, &cli, nil, environ, io.Discard); err != nil {
		t.Fatal(err)
	}
	c.Consul = cli.Consul
	app := fxmod.New(local(), Module(name, c))
	if err := app.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	usable := func() bool {
		endpoints, _, err := consul.Health().Service(name, "", true, nil)
		return err == nil && len(endpoints) == 1
	}
	check.Eventually(t, "passing check", usable)
	check.Eventually(t, "its sidecar", func() bool { // which the agent adds after the program
		_, _, err := consul.Agent().Service(registry.SidecarID(name), nil)
		return err == nil
	})
	if err := app.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
	check.Eventually(t, "critical check", func() bool { return !usable() })
	for _, id := range []string{name, registry.SidecarID(name)} {
		if _, _, err := consul.Agent().Service(id, nil); err != nil {
			t.Errorf("%s after the stop: %v", id, err)
		}
	}
	if err := consul.Agent().ServiceDeregister(name); err != nil { // as an operator does, for good
		t.Fatal(err)
	}
	if left, err := consul.Agent().Services(); err != nil || len(left) > 0 {
		t.Errorf("after its deregistration: %v, %v", left, err)
	}
}
