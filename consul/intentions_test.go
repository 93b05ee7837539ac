package consul_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// A real sidecar enforces the committed entries in a Consul that allows by default, and says truthfully who calls.
func TestSidecarEnforcesTheEntries(t *testing.T) {
	server := consultest.New(t)
	entries, err := registry.ReadEntries(consul.ConfigEntries(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, _, err := server.ConfigEntries().Set(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	definition, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	const callee = "identity"
	callers := make(chan []string, 1)
	public := sidecar(t, server, definition, callee, callers)
	connections := map[string]*grpc.ClientConn{}
	for _, program := range append(definition.Programs, mesh.Program{Name: "stranger"}) {
		connections[program.Name] = dial(t, server, program.Name, public)
	}
	ready(t, connections["auth"])
	cells := append(definition.Cells(), mesh.Cell{Caller: "stranger", Callee: callee, Path: definition.Methods[0].Path})
	for _, cell := range cells {
		if cell.Callee != callee {
			continue
		}
		t.Run(strings.ReplaceAll(cell.String(), "/", " "), func(t *testing.T) {
			err := call(t.Context(), connections[cell.Caller], cell.Path)
			if !cell.Allowed {
				if status.Code(err) != codes.PermissionDenied {
					t.Errorf("a denied call answered %v, want PermissionDenied", err)
				}
				return
			}
			if err != nil {
				t.Fatalf("an allowed call answered %v", err)
			}
			got := <-callers
			if len(got) != 1 || !strings.HasPrefix(got[0], "spiffe://") || !strings.HasSuffix(got[0], "/svc/"+cell.Caller) {
				t.Errorf("the program saw callers %q, want the SPIFFE id of %s alone", got, cell.Caller)
			}
		})
	}
	t.Run("no certificate", func(t *testing.T) {
		insecure, err := grpc.NewClient(public, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}))) // the server's identity is not the question
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = insecure.Close() }()
		if err := call(t.Context(), insecure, definition.Methods[0].Path); status.Code(err) != codes.Unavailable {
			t.Errorf("a connection without certificate answered %v, want Unavailable", err)
		}
	})
}

// sidecar registers a program that answers everything, and runs its Envoy; it returns the address of the public listener.
func sidecar(t *testing.T, server *consultest.Server, definition *mesh.Definition, name string, callers chan<- []string) string {
	t.Helper()
	ports := freeport.GetN(t, 2)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	program := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		received, _ := metadata.FromIncomingContext(stream.Context())
		callers <- received.Get(request.CallerHeader)
		return stream.SendMsg(&emptypb.Empty{})
	}))
	healthpb.RegisterHealthServer(program, health.NewServer()) // Consul asks it
	go func() { _ = program.Serve(listener) }()
	t.Cleanup(program.Stop)

	for i, p := range definition.Programs {
		if p.Name == name {
			definition.Programs[i].Port = listener.Addr().(*net.TCPAddr).Port
			definition.Programs[i].Public = ports[0]
			definition.Programs[i].Admin = ports[1]
		}
	}
	registration, err := registry.Registration(definition, name, mesh.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Agent().ServiceRegister(registration); err != nil {
		t.Fatal(err)
	}
	envoy(t, server, name, ports[1])
	return fmt.Sprintf("127.0.0.1:%d", ports[0])
}

func envoy(t *testing.T, server *consultest.Server, name string, admin int) {
	t.Helper()
	program, err := consultest.Find("envoy")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	bootstrap, err := exec.CommandContext(t.Context(), server.Program, "connect", "envoy", "-bootstrap", "-sidecar-for", name,
		"-http-addr", server.HTTP, "-grpc-addr", server.GRPC, "-admin-bind", fmt.Sprintf("127.0.0.1:%d", admin),
		"-ignore-envoy-compatibility").Output()
	if err != nil {
		t.Fatalf("bootstrap: %v", err)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "bootstrap.json")
	if err := os.WriteFile(file, bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "envoy.log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(program, "-c", file, "--disable-hot-restart", "--concurrency", "1",
		"--drain-time-s", "2", "--drain-strategy", "immediate", "--log-level", "warning")
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatalf("start envoy: %v", err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("envoy's log:\n%s", text)
		}
		_ = log.Close()
	})
}

// dial connects to a public listener with the caller's own mesh certificate, as its sidecar would.
func dial(t *testing.T, server *consultest.Server, name, address string) *grpc.ClientConn {
	t.Helper()
	leaf, _, err := server.Agent().ConnectCALeaf(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair([]byte(leaf.CertPEM), []byte(leaf.PrivateKeyPEM))
	if err != nil {
		t.Fatal(err)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		Certificates:       []tls.Certificate{certificate},
		InsecureSkipVerify: true, // the name in a mesh certificate is a SPIFFE id; the server's identity is not the question
	})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

// ready waits until the sidecar has a listener, which answers an unknown method of an allowed caller itself.
func ready(t *testing.T, connection *grpc.ClientConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := connection.Invoke(ctx, "/no.Such/Method", &emptypb.Empty{}, &emptypb.Empty{}, grpc.WaitForReady(true))
	if status.Code(err) != codes.PermissionDenied {
		t.Fatalf("sidecar: %v", err)
	}
}

// call sends a request with forged caller headers.
func call(ctx context.Context, connection *grpc.ClientConn, path string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, request.CallerHeader, "spiffe://forged/svc/gateway", request.CallerHeader, "spiffe://forged/svc/auth")
	return connection.Invoke(ctx, path, &emptypb.Empty{}, &emptypb.Empty{})
}
