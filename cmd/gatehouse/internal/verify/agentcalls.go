package verify

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"

	"github.com/hashicorp/consul/proto-public/pbconnectca"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// call is a question to the agent's gRPC; no error means that it was answered.
type call struct {
	method string
	own    bool // not even for other services of the mesh
	do     func(ctx context.Context, conn *grpc.ClientConn) error
}

// calls are what the sidecar of an instance, or somebody who poses as it, can ask for.
func (d door) calls(of instance) []call {
	sidecar := registry.SidecarID(of.id)
	var all []call
	if of.node == "" || of.node == d.node { // an agent configures the sidecars of its own node only
		all = append(all, call{deltaStream, true, func(ctx context.Context, conn *grpc.ClientConn) error { return subscribe(ctx, conn, sidecar) }})
	}
	if !d.signs {
		return all // clients have nothing else
	}
	all = append(all, call{pbconnectca.ConnectCAService_Sign_FullMethodName, true, func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := signed(ctx, conn, d.mesh.SPIFFE(of.program))
		return err
	}})
	if of.node == unplaced {
		return all // no bootstrap of a sidecar that there is not
	}
	return append(all,
		call{pbdataplane.DataplaneService_GetEnvoyBootstrapParams_FullMethodName, false, func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := pbdataplane.NewDataplaneServiceClient(conn).GetEnvoyBootstrapParams(ctx, &pbdataplane.GetEnvoyBootstrapParamsRequest{
				NodeSpec: &pbdataplane.GetEnvoyBootstrapParamsRequest_NodeName{NodeName: cmp.Or(of.node, d.node)}, ProxyId: sidecar,
			})
			return err
		}})
}

// deltaStream is the one method by which Consul's sidecars get their configuration, leaf
// certificate and key included.
const deltaStream = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

// subscribe asks for the listeners of a sidecar, as Envoy's first message does.
func subscribe(ctx context.Context, conn *grpc.ClientConn, sidecar string) error {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, deltaStream)
	if err != nil {
		return err
	}
	request := &emptypb.Empty{} // envoy.service.discovery.v3.DeltaDiscoveryRequest, field by field
	node := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), sidecar)
	raw := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), node)
	raw = protowire.AppendString(protowire.AppendTag(raw, 2, protowire.BytesType), "type.googleapis.com/envoy.config.listener.v3.Listener")
	if err := proto.Unmarshal(raw, request); err != nil {
		return err
	}
	if err := stream.SendMsg(request); err != nil {
		return stream.RecvMsg(request) // says why
	}
	return stream.RecvMsg(request)
}

// signed has a certificate for a SPIFFE id signed by the mesh's CA. The key is made here and stays
// here.
func signed(ctx context.Context, conn *grpc.ClientConn, spiffe string) (tls.Certificate, error) {
	var none tls.Certificate
	id, err := url.Parse(spiffe)
	if err != nil {
		return none, fmt.Errorf("read a SPIFFE id: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return none, fmt.Errorf("make a key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{id}}, key)
	if err != nil {
		return none, fmt.Errorf("write a certificate request: %w", err)
	}
	answer, err := pbconnectca.NewConnectCAServiceClient(conn).Sign(ctx, &pbconnectca.SignRequest{
		Csr: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
	})
	if err != nil {
		return none, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return none, fmt.Errorf("write a key: %w", err)
	}
	pair, err := tls.X509KeyPair([]byte(answer.GetCertPem()), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	if err != nil {
		return none, fmt.Errorf("read a certificate: %w", err)
	}
	return pair, nil
}

// as adds a token to a call.
func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, tokenHeader, token)
}
