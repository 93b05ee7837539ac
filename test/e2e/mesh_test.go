package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	consuldefinition "github.com/gatehouse/gatehouse/consul"
	incoming "github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
	probev1 "github.com/gatehouse/gatehouse/test/probe/gen/gatehouse/probe/v1"
)

// The verification must notice an allowance that the definition does not have, or it proves nothing.
func TestMeshVerifyNoticesAHole(t *testing.T) {
	client := consul(t)
	restore := withIntentions(t, client, "auth", func(e *api.ServiceIntentionsConfigEntry) {
		for _, source := range e.Sources {
			if source.Name == "identity" {
				hole := &api.IntentionPermission{Action: api.IntentionActionAllow,
					HTTP: &api.IntentionHTTPPermission{PathExact: "/gatehouse.auth.v1.AuthService/SignIn"}}
				// The first match decides, and the last permission denies the rest.
				source.Permissions = append([]*api.IntentionPermission{hole}, source.Permissions...)
			}
		}
	})
	verify := func() string {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		out, err := plat.CLI(ctx, "mesh", "verify")
		if err == nil {
			return ""
		}
		return string(out)
	}
	check.Within(t, 30*time.Second, "mesh verify reports the hole", func() error {
		if out := verify(); !strings.Contains(out, "AuthService/SignIn") {
			return fmt.Errorf("it says %q", out)
		}
		return nil
	})
	restore()
	check.Within(t, 30*time.Second, "mesh verify passes again", func() error {
		if out := verify(); out != "" {
			return fmt.Errorf("it says %s", out)
		}
		return nil
	})
}

// meshOf is the running platform's mesh.
func meshOf(t testing.TB) incoming.Mesh {
	t.Helper()
	return meshIn(platformStatus(t))
}

func meshIn(s platform.Status) incoming.Mesh {
	return incoming.Mesh{TrustDomain: s.Consul.TrustDomain, Datacenter: s.Consul.Datacenter, Prefix: s.Consul.ServicePrefix}
}

// A service decides by the list that the sidecars follow, past them too: whoever connects to its
// own port is refused what his program does not declare, although the callee consents; and a
// program of another mesh is nobody (R94).
func TestServicesAdmitWhoMayCallByTheMesh(t *testing.T) {
	definition, err := consuldefinition.Definition()
	if err != nil {
		t.Fatal(err)
	}
	own := meshOf(t)
	foreign := own
	foreign.TrustDomain = "11111111-2222-3333-4444-555555555555.consul"
	undeclared := map[string]bool{}
	for _, callee := range definition.Programs {
		if callee.Edge {
			continue
		}
		conn, err := grpc.NewClient(serviceOf(t, callee.Name).GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ask := func(method, caller string) (codes.Code, string) { return askAs(t, conn, method, caller) }
		for _, m := range definition.Methods {
			if m.Callee != callee.Name {
				continue
			}
			if len(m.Callers) == 0 {
				undeclared[m.Path] = true
			}
			for _, program := range definition.Programs {
				if slices.Contains(m.Callers, program.Name) {
					continue
				}
				if code, reason := ask(m.Path, own.SPIFFE(program.Name)); code != codes.PermissionDenied || reason != "CALLER_NOT_ADMITTED" {
					t.Errorf("%s as %s, which does not declare it: %s %s", m.Path, program.Name, code, reason)
				}
			}
			for _, who := range m.Callers {
				if code, reason := ask(m.Path, foreign.SPIFFE(who)); code != codes.PermissionDenied || reason != "CALLER_UNKNOWN" {
					t.Errorf("%s as another mesh's %s: %s %s", m.Path, who, code, reason)
				}
			}
		}
	}
	for _, path := range []string{
		"/gatehouse.identity.v1.OrganizationDirectoryService/DeleteOrganization", "/gatehouse.authz.v1.AuthzService/Check", "/gatehouse.authz.v1.AuthzService/ListObjects",
	} {
		if !undeclared[path] {
			t.Errorf("%s is declared by somebody: name another one here", path)
		}
	}
}

// askAs sends an empty request as a caller, past the mesh, and returns the code and the reason of
// the answer.
func askAs(t *testing.T, conn *grpc.ClientConn, method, caller string) (codes.Code, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "x-gatehouse-caller", caller)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err == nil {
		err = stream.SendMsg(&emptypb.Empty{})
	}
	if err == nil || errors.Is(err, io.EOF) {
		_ = stream.CloseSend()
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return status.Code(err), info.GetReason()
		}
	}
	return status.Code(err), ""
}

// prober opens a connection through the prober's own sidecar, as that program would.
func prober(t testing.TB) (probev1.ProbeServiceClient, *grpc.ClientConn) {
	t.Helper()
	port, ok := serviceOf(t, "prober").Upstreams["probe"]
	if !ok {
		t.Fatal("the prober has no upstream to the probe")
	}
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return probev1.NewProbeServiceClient(conn), conn
}

// What a client says of itself never arrives; what the sidecar says does.
func TestForgedCallerNeverArrives(t *testing.T) {
	client, _ := prober(t)
	for _, forged := range [][]string{nil, {"spiffe://evil/svc/gateway"}, {"spiffe://evil/svc/gateway", "spiffe://evil/svc/auth"}, {""}} {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		for _, v := range forged {
			ctx = metadata.AppendToOutgoingContext(ctx, "x-gatehouse-caller", v)
		}
		resp, err := client.Echo(ctx, &probev1.EchoRequest{})
		cancel()
		if err != nil {
			t.Fatalf("forged %q: %v", forged, err)
		}
		if got := resp.GetCallers(); len(got) != 1 || !strings.HasSuffix(got[0], "/svc/prober") {
			t.Errorf("forged %q: arrived %q, want the prober's own SPIFFE id alone", forged, got)
		}
	}
}

// A consented method that nobody declares stays closed.
func TestUndeclaredCallIsDenied(t *testing.T) {
	client, _ := prober(t)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err := client.Closed(ctx, &probev1.ClosedRequest{})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "RBAC") {
		t.Errorf("an undeclared call: %v, want PermissionDenied by the sidecar", err)
	}
}

// Envoy ends every call after 15 s unless it is told otherwise, in both sidecars.
func TestLongCallsSurviveBothSidecars(t *testing.T) {
	t.Parallel()
	client, _ := prober(t)
	t.Run("20 s unary call", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(context.Background(), 29*time.Second)
		defer cancel()
		if _, err := client.Sleep(ctx, &probev1.SleepRequest{Duration: durationpb.New(20 * time.Second)}); err != nil {
			t.Error(err)
		}
	})
	t.Run("60 s stream", func(t *testing.T) {
		t.Parallel()
		stream, err := client.Tick(t.Context(), &probev1.TickRequest{Count: 60})
		if err != nil {
			t.Fatal(err)
		}
		for want := int32(1); want <= 60; want++ {
			tick, err := stream.Recv()
			if err != nil {
				t.Fatalf("tick %d: %v", want, err)
			}
			if tick.GetNumber() != want {
				t.Fatalf("tick %d, want %d", tick.GetNumber(), want)
			}
		}
	})
}

// A denied call is refused although the load goes on, and no allowed call fails while Consul changes the sidecar's rules.
func TestIntentionChangeUnderLoad(t *testing.T) {
	client, _ := prober(t)
	end := load(client)
	echo := func() codes.Code {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := client.Echo(ctx, &probev1.EchoRequest{})
		return status.Code(err)
	}
	within := func(want codes.Code) {
		t.Helper()
		start := time.Now()
		check.Within(t, 2*time.Second, "the changed intention takes effect", func() error {
			if got := echo(); got != want {
				return fmt.Errorf("the call answers %s, want %s", got, want)
			}
			return nil
		})
		t.Logf("effective after %s", time.Since(start).Round(time.Millisecond))
	}
	within(codes.OK)
	for range 3 {
		restore := withIntentions(t, consul(t), "probe", forbidProber("/gatehouse.probe.v1.ProbeService/Echo"))
		within(codes.PermissionDenied)
		restore()
		within(codes.OK)
	}
	total, failures := end()
	for _, err := range failures {
		t.Errorf("an allowed call failed: %v", err)
	}
	t.Logf("%d allowed calls meanwhile", total)
	if total == 0 {
		t.Error("no load ran")
	}
}

// forbidProber takes a path away from what the prober may call.
func forbidProber(path string) func(*api.ServiceIntentionsConfigEntry) {
	return func(e *api.ServiceIntentionsConfigEntry) {
		for _, source := range e.Sources {
			if source.Name == "prober" {
				kept := source.Permissions[:0:0]
				for _, p := range source.Permissions {
					if p.HTTP.PathExact != path {
						kept = append(kept, p)
					}
				}
				source.Permissions = kept
			}
		}
	}
}

// load calls the probe from four goroutines until end, which says how many calls there were and
// which failed.
func load(client probev1.ProbeServiceClient) (end func() (int, []error)) {
	stop := make(chan struct{})
	failures := make(chan error, 1000)
	done := make(chan int)
	for range 4 {
		go func() {
			n := 0
			for {
				select {
				case <-stop:
					done <- n
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				// Short calls and such as take the longest that is promised to survive.
				length := 20 * time.Millisecond
				if n%20 == 0 {
					length = time.Second
				}
				_, err := client.Sleep(ctx, &probev1.SleepRequest{Duration: durationpb.New(length)})
				cancel()
				if err != nil {
					failures <- err
				}
				n++
			}
		}()
	}
	return func() (int, []error) {
		close(stop)
		total := 0
		for range 4 {
			total += <-done
		}
		close(failures)
		var failed []error
		for err := range failures {
			failed = append(failed, err)
		}
		return total, failed
	}
}
