package gatewaytest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/request"
)

// sidecar stands in for Envoy between the gateway and a service: it forwards every call unread and replaces the caller header.
type sidecar struct {
	conn   *grpc.ClientConn // adds the gateway's caller header
	denied atomic.Bool
}

// newSidecar forwards what comes to the listener to conn until the test ends.
func newSidecar(t testing.TB, listener net.Listener, conn *grpc.ClientConn) *sidecar {
	s := &sidecar{conn: conn}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(s.forward))
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return s
}

func (s *sidecar) deny(denied bool) { s.denied.Store(denied) }

func (s *sidecar) forward(_ any, in grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(in)
	if s.denied.Load() {
		return status.Error(codes.Unavailable, "no healthy upstream")
	}
	md, _ := metadata.FromIncomingContext(in.Context())
	md = md.Copy()
	for _, name := range []string{request.CallerHeader, "content-type", ":authority", "user-agent", "grpc-accept-encoding"} {
		md.Delete(name)
	}
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(in.Context(), md))
	defer cancel()
	out, err := s.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodecV2(raw{}))
	if err != nil {
		return err
	}
	go func() {
		for {
			var frame mem.BufferSlice
			if in.RecvMsg(&frame) != nil {
				_ = out.CloseSend()
				return
			}
			if out.SendMsg(&frame) != nil {
				return
			}
		}
	}()
	for {
		var frame mem.BufferSlice
		if err := out.RecvMsg(&frame); err != nil {
			in.SetTrailer(out.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if s.denied.Load() {
			return status.Error(codes.Unavailable, "no healthy upstream")
		}
		if err := in.SendMsg(&frame); err != nil {
			return err
		}
	}
}

// raw is a codec that leaves messages as they are.
type raw struct{}

// Marshal is part of encoding.CodecV2.
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	frame, ok := v.(*mem.BufferSlice)
	if !ok {
		return nil, errors.New("not a frame")
	}
	return *frame, nil
}

// Unmarshal is part of encoding.CodecV2.
func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	frame, ok := v.(*mem.BufferSlice)
	if !ok {
		return errors.New("not a frame")
	}
	data.Ref()
	*frame = data
	return nil
}

// Name is part of encoding.CodecV2: peers see protobuf.
func (raw) Name() string { return proto.Name }

var _ encoding.CodecV2 = raw{}

// freeOffset finds a port offset at which all ports are free, and listens on them.
func freeOffset(t testing.TB, ports []int) ([]net.Listener, int) {
	t.Helper()
	for offset := 5000; offset <= 11000; offset += 100 {
		if listeners, ok := listenAll(ports, offset); ok {
			return listeners, offset
		}
	}
	t.Fatal("no port offset from 5000 to 11000 is free")
	return nil, 0
}

func listenAll(ports []int, offset int) ([]net.Listener, bool) {
	var listeners []net.Listener
	for _, port := range ports {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port + offset})
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return nil, false
		}
		listeners = append(listeners, l)
	}
	return listeners, true
}
