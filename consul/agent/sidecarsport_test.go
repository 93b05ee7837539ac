package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/proto-public/pbdns"
	_ "github.com/hashicorp/consul/proto-public/pbmulticluster/v2" // a resource's content
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// A try is a valid request to the sidecars' port. Where nothing is said of an answer, a token for
// management is given something and nobody else is: PermissionDenied or Unauthenticated.
type try struct {
	method  string // without its package
	request string // JSON
	without string // what is said in the refusal without a token, where its code is another one
	with    string // what is said with a token for management, where that is refused as well
}

// tries are in the order in which they are sent: what deletes comes last.
func tries(t *testing.T, o *consultest.OneMachine) []try {
	const (
		sidecar   = `{"node":{"id":"auth-sidecar-proxy","cluster":"auth"},"type_url":"type.googleapis.com/envoy.config.cluster.v3.Cluster"}`
		of        = `"type":{"group":"multicluster","group_version":"v2","kind":"ExportedServices"},"tenancy":{"partition":"default"}`
		id        = `"id":{"name":"some","uid":"01HF0000000000000000000000",` + of + `}`
		resource  = `{"resource":{"id":{"name":"some",` + of + `},"data":{"@type":"hashicorp.consul.multicluster.v2.ExportedServices","services":["auth"]}}}`
		peer      = `"PeerID":"11111111-2222-3333-4444-555555555555"`
		unsettled = "failed getting authorizer: ACL not found" // how the resource service refuses
	)
	return []try{
		{method: "AggregatedDiscoveryService/DeltaAggregatedResources", request: sidecar},
		{method: "AggregatedDiscoveryService/StreamAggregatedResources", request: sidecar, without: "not implemented", with: "not implemented"},
		{method: "ConnectCAService/WatchRoots", request: `{}`},
		{method: "ConnectCAService/Sign", request: fmt.Sprintf(`{"csr":%q}`, csr(t, o))},
		{method: "DataplaneService/GetSupportedDataplaneFeatures", request: `{}`},
		{method: "DataplaneService/GetEnvoyBootstrapParams", request: `{"node_name":"gatehouse","proxy_id":"auth-sidecar-proxy"}`},
		// Who guesses a name learns that it is none.
		{method: "DataplaneService/GetEnvoyBootstrapParams", request: `{"node_name":"gatehouse","proxy_id":"other"}`, without: "Service not found", with: "Service not found"},
		{method: "ServerDiscoveryService/WatchServers", request: `{}`},
		{method: "OperatorService/TransferLeader", request: `{}`, without: "Permission denied: anonymous token lacks permission 'operator:write'", with: "cannot find peer"},
		// There is no way to log in: nobody has made one.
		{method: "ACLService/Login", request: `{"auth_method":"some","bearer_token":"a.b.c"}`, without: `auth method "some" not found`, with: `auth method "some" not found`},
		// Peering is off: no peer has a secret.
		{method: "PeerStreamService/StreamResources", request: `{"open":{` + peer + `,"StreamSecretID":"some"}}`, without: "initial subscription for unknown PeerID", with: "initial subscription for unknown PeerID"},
		{method: "PeerStreamService/ExchangeSecret", request: `{` + peer + `,"EstablishmentSecret":"some"}`, with: "invalid peering establishment secret"},
		{method: "ResourceService/Write", request: resource, without: unsettled},
		{method: "ResourceService/MutateAndValidate", request: resource, without: unsettled},
		{method: "ResourceService/Read", request: `{` + id + `}`, without: unsettled, with: "resource not found"},
		{method: "ResourceService/List", request: `{` + of + `}`, without: unsettled},
		{method: "ResourceService/WatchList", request: `{` + of + `}`, without: unsettled},
		{method: "ResourceService/ListByOwner", request: `{"owner":{` + id[len(`"id":{`):] + `}`, without: unsettled},
		{method: "ResourceService/WriteStatus", request: `{` + id + `,"key":"some","status":{"observed_generation":"01HF0000000000000000000000"}}`, without: unsettled, with: "resource not found"},
		{method: "ResourceService/Delete", request: `{` + id + `}`, without: unsettled},
		// It takes the token that the request holds, and only one that somebody logged in with.
		{method: "ACLService/Logout", request: fmt.Sprintf(`{"token":%q}`, o.Token), with: "Permission denied"},
	}
}

// The sidecars' port asks for no certificate. Every method that it offers is sent what it takes,
// without a token, and gives nothing; with one for management it does, which shows that the request
// was good (R87). Two answer everybody: reflection says which there are, and DNS has a test of its
// own.
func TestTheSidecarsPortGivesNothingWithoutAToken(t *testing.T) {
	o, conn := sidecarsPort(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	left := offered(ctx, t, conn)
	all := tries(t, o)
	for _, one := range all {
		at := slices.IndexFunc(left, func(m protoreflect.MethodDescriptor) bool { return strings.HasSuffix(path(m), "."+one.method) })
		if at < 0 {
			t.Errorf("%s is not offered", one.method)
			continue
		}
		err := send(ctx, t, conn, left[at], one.request)
		if refused := status.Code(err) == codes.PermissionDenied || status.Code(err) == codes.Unauthenticated; err == nil ||
			one.without == "" && !refused || !strings.Contains(status.Convert(err).Message(), one.without) {
			t.Errorf("%s %s without a token: %v", one.method, one.request, err)
		}
		err = send(metadata.AppendToOutgoingContext(ctx, "x-consul-token", o.Token), t, conn, left[at], one.request)
		if (err == nil) != (one.with == "") || err != nil && !strings.Contains(err.Error(), one.with) {
			t.Errorf("%s %s with a token: %v", one.method, one.request, err)
		}
	}
	for _, m := range left {
		known := slices.ContainsFunc(all, func(one try) bool { return strings.HasSuffix(path(m), "."+one.method) })
		if !known && !strings.HasPrefix(path(m), "/grpc.reflection.") && path(m) != dnsQuery {
			t.Errorf("%s is not tried", path(m))
		}
	}
}

const dnsQuery = "/hashicorp.consul.dns.DNSService/Query"

// DNS answers everybody, and without a token it finds nothing and says the same of a name that
// there is as of one that there is not (R87).
func TestDNSAtTheSidecarsPortFindsNothingWithoutAToken(t *testing.T) {
	o, conn := sidecarsPort(t)
	const a, ns, ptr, srv, every = 1, 2, 12, 33, 255
	client := pbdns.NewDNSServiceClient(conn)
	ask := func(token, name string, kind byte) (code byte, answers uint16) {
		t.Helper()
		message := []byte{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		for label := range strings.SplitSeq(name, ".") {
			message = append(append(message, byte(len(label))), label...)
		}
		request := &pbdns.QueryRequest{Msg: append(message, 0, 0, kind, 0, 1), Protocol: pbdns.Protocol_PROTOCOL_TCP}
		answer, err := client.Query(metadata.AppendToOutgoingContext(t.Context(), "x-consul-token", token), request)
		if err != nil || len(answer.GetMsg()) < len(message) {
			t.Fatalf("%s: %v %q", name, err, answer.GetMsg())
		}
		return answer.GetMsg()[3] & 0xf, binary.BigEndian.Uint16(answer.GetMsg()[6:])
	}
	for _, c := range []struct {
		name, other string
		kind        byte
		healthy     bool // is found with a token
	}{
		{"auth.service.consul", "other.service.consul", a, true},
		{"auth.service.consul", "other.service.consul", srv, true},
		{"auth.service.consul", "other.service.consul", every, true},
		{"auth.connect.consul", "other.connect.consul", srv, false},
		{"consul.service.consul", "other.service.consul", a, true},
		{"gatehouse.node.consul", "other.node.consul", a, true},
		{"gatehouse.node.consul", "other.node.consul", every, true},
		{"1.0.0.127.in-addr.arpa", "9.9.9.9.in-addr.arpa", ptr, true},
		{"consul", "other.consul", ns, true},
	} {
		code, answers := ask("", c.name, c.kind)
		other, _ := ask("", c.other, c.kind)
		if answers > 0 || code != other {
			t.Errorf("%s %d without a token: %d answers, code %d; %s: %d", c.name, c.kind, answers, code, c.other, other)
		}
		if _, answers := ask(o.Token, c.name, c.kind); c.healthy && answers == 0 {
			t.Errorf("%s %d is not found with a token", c.name, c.kind)
		}
	}
}

// sidecarsPort starts an agent that knows a program with a sidecar.
func sidecarsPort(t *testing.T) (*consultest.OneMachine, *grpc.ClientConn) {
	t.Helper()
	o := consultest.NewOneMachine(t)
	registration := &api.AgentServiceRegistration{Name: "auth", Port: 1, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{}}}
	if err := o.Agent().ServiceRegister(registration); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(o.Certificates.CA))
	conn, err := grpc.NewClient("passthrough:///"+o.XDS, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return o, conn
}

// csr asks for a certificate of the program.
func csr(t *testing.T, o *consultest.OneMachine) string {
	t.Helper()
	roots, _, err := o.Connect().CARoots(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := &url.URL{Scheme: "spiffe", Host: roots.TrustDomain, Path: "/ns/default/dc/dc1/svc/auth"}
	raw, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{id}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: raw}))
}

func path(m protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
}

// send returns the first answer.
func send(ctx context.Context, t *testing.T, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, request string) error {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	message := dynamicpb.NewMessage(m.Input())
	if err := protojson.Unmarshal([]byte(request), message); err != nil {
		t.Fatalf("%s: %v", path(m), err)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path(m))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(message); err != nil && !errors.Is(err, io.EOF) { // the end is told by RecvMsg
		t.Fatal(err)
	}
	if !m.IsStreamingClient() {
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
	}
	return stream.RecvMsg(dynamicpb.NewMessage(m.Output()))
}

// offered asks the server's reflection for all methods.
func offered(ctx context.Context, t *testing.T, conn *grpc.ClientConn) []protoreflect.MethodDescriptor {
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
	all := &descriptorpb.FileDescriptorSet{}
	list := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService()
	for _, service := range list {
		files := ask(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service.GetName()}})
		for _, raw := range files.GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(raw, file); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(all.GetFile(), func(known *descriptorpb.FileDescriptorProto) bool { return known.GetName() == file.GetName() }) {
				all.File = append(all.File, file)
			}
		}
	}
	files, err := protodesc.NewFiles(all)
	if err != nil {
		t.Fatal(err)
	}
	var methods []protoreflect.MethodDescriptor
	for _, service := range list {
		found, err := files.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		if err != nil {
			t.Fatal(err)
		}
		declared := found.(protoreflect.ServiceDescriptor).Methods()
		for i := range declared.Len() {
			methods = append(methods, declared.Get(i))
		}
	}
	return methods
}
