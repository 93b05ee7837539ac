package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A process without a certificate gets nothing from Consul's API, which is not there without TLS; one with a certificate but no token
// gets no service and no key, although every sidecar's is in the agent's memory (R87).
func TestConsulGivesNothingAway(t *testing.T) {
	s := platformStatus(t)
	plain := net.JoinHostPort("127.0.0.1", strconv.Itoa(8500+portOffset))
	if conn, err := net.Dial("tcp", plain); err == nil {
		conn.Close()
		t.Errorf("somebody listens on %s", plain)
	}
	own, err := tls.LoadX509KeyPair(s.Consul.CertFile, s.Consul.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	client := func(certificates ...tls.Certificate) *http.Client {
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, Certificates: certificates}}}
	}
	for _, service := range s.Services {
		leaf := s.Consul.Address + "/v1/agent/connect/ca/leaf/" + service.Name
		if a, err := client().Get("https://" + leaf); err == nil {
			t.Errorf("%s without a certificate: %s", leaf, a.Status)
		}
		if a, err := client().Get("http://" + leaf); err == nil && a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s without TLS: %s", leaf, a.Status)
		}
		if a, err := client(own).Get("https://" + leaf); err != nil || a.StatusCode != http.StatusForbidden {
			t.Errorf("%s with a certificate and no token: %v %v", leaf, a, err)
		}
	}
	for _, path := range []string{"/v1/catalog/services", "/v1/agent/services"} {
		a, err := client(own).Get("https://" + s.Consul.Address + path)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]any{}
		if err := json.NewDecoder(a.Body).Decode(&found); err != nil || len(found) > 0 {
			t.Errorf("%s with a certificate and no token: %v %v", path, found, err)
		}
		a.Body.Close()
	}
	// Between servers: raft, and Consul's own calls.
	for _, protocol := range []byte{0, 1, 4} {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(8300+portOffset)))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = conn.Write([]byte{protocol})
		if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			t.Errorf("protocol %d is spoken between servers without a certificate: %v", protocol, err)
		}
		conn.Close()
	}
}

// The sidecars' port asks for no certificate, so every method that it offers is tried without a token. Reflection alone says something:
// which methods there are.
func TestTheSidecarsPortGivesNothingWithoutAToken(t *testing.T) {
	s := platformStatus(t)
	ca, err := os.ReadFile(s.Consul.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := grpc.NewClient("passthrough:///"+s.Consul.XDS, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	methods := offered(ctx, t, conn)
	if len(methods) < 10 {
		t.Fatalf("only %v", methods)
	}
	for _, method := range methods {
		if strings.HasPrefix(method, "/grpc.reflection.") {
			continue
		}
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
			t.Fatal(err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		answer := &emptypb.Empty{}
		if err := stream.RecvMsg(answer); err == nil {
			t.Errorf("%s answers without a token: %q", method, answer.ProtoReflect().GetUnknown())
		}
	}
}

// offered asks the server's reflection for all methods.
func offered(ctx context.Context, t *testing.T, conn *grpc.ClientConn) []string {
	t.Helper()
	stream, err := reflectionpb.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(request *reflectionpb.ServerReflectionRequest) *reflectionpb.ServerReflectionResponse {
		t.Helper()
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	var methods []string
	list := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
	for _, service := range list.GetListServicesResponse().GetService() {
		files := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service.GetName()}})
		for _, raw := range files.GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(raw, file); err != nil {
				t.Fatal(err)
			}
			for _, declared := range file.GetService() {
				if file.GetPackage()+"."+declared.GetName() != service.GetName() {
					continue
				}
				for _, m := range declared.GetMethod() {
					methods = append(methods, "/"+service.GetName()+"/"+m.GetName())
				}
			}
		}
	}
	return methods
}

// The consul command works with what `gatehouse env` prints, and with nothing less.
func TestConsulCommandInTheEnvironment(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines, err := plat.CLI(ctx, "env")
	if err != nil {
		t.Fatalf("%v: %s", err, lines)
	}
	consul := func(without string) (string, error) {
		cmd := exec.CommandContext(ctx, "bash", "-c", string(lines)+"unset "+without+"\nexec consul catalog services")
		cmd.Env = append(os.Environ(), "PATH="+filepath.Join(plat.Root, ".bin")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := consul("NOTHING"); err != nil || !strings.Contains(out, "identity-sidecar-proxy") {
		t.Errorf("consul catalog services: %v %s", err, out)
	}
	if out, err := consul("CONSUL_CLIENT_CERT CONSUL_CLIENT_KEY"); err == nil {
		t.Errorf("without the certificate: %s", out)
	}
	if out, err := consul("CONSUL_HTTP_TOKEN_FILE"); err == nil && strings.Contains(out, "identity") {
		t.Errorf("without the token: %s", out)
	}
}
