// Package rawcall sends gRPC calls whose message cannot be parsed: they find out whether a call is let through to a service without any
// chance of changing something there.
package rawcall

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/request"
)

// Nobody is a method that no contract allows anybody: sidecars refuse it.
const Nobody = "/grpc.health.v1.Health/Check"

// Forged is the caller header that every call carries. A service that sees it refuses the call, if it gets so far: it does for streams,
// and cannot read the message of a unary call before.
const Forged = "spiffe://forged.invalid/ns/default/dc/dc1/svc/forged"

// Plain calls a method through a local listener without TLS, such as a sidecar's upstream. The
// error is the response; the header is that of the response, as far as one came.
func Plain(ctx context.Context, address, method string) (metadata.MD, error) {
	return call(ctx, address, method, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// TLS is Plain over TLS.
func TLS(ctx context.Context, address, method string, config *tls.Config) (metadata.MD, error) {
	return call(ctx, address, method, grpc.WithTransportCredentials(credentials.NewTLS(config)))
}

// Dialer connects, wherever an address leads from where it is.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

// Through is Plain over connections of a dialer.
func Through(ctx context.Context, dial Dialer, address, method string) (metadata.MD, error) {
	return call(ctx, address, method, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }))
}

func call(ctx context.Context, address, method string, options ...grpc.DialOption) (metadata.MD, error) {
	conn, err := grpc.NewClient("passthrough:///"+address, append(options, grpc.WithDisableRetry(), grpc.WithDisableServiceConfig())...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }()
	ctx = metadata.AppendToOutgoingContext(ctx, request.CallerHeader, Forged)
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method, grpc.ForceCodec(garbage{}))
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(unreadable{}); err != nil && !errors.Is(err, io.EOF) { // EOF: the response is there already
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	err = stream.RecvMsg(unreadable{})
	header, _ := stream.Header() // absent when the response is an error of the transport
	return header, err
}

// unreadable stands for the message. It must not be nil: gRPC sends nil as an empty message, which is a valid one.
type unreadable struct{}

// garbage is a codec that sends one byte no protobuf message begins with and reads nothing.
type garbage struct{}

// Marshal returns an unfinished varint.
func (garbage) Marshal(any) ([]byte, error) { return []byte{0xff}, nil }

// Unmarshal ignores the response.
func (garbage) Unmarshal([]byte, any) error { return nil }

// Name is that of the ordinary codec, so that the service tries to read the message.
func (garbage) Name() string { return "proto" }
