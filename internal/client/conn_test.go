package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// sidecar stands for one that admits so many requests of each connection, as Envoy does 1,024.
type sidecar struct {
	authv1.UnimplementedVerificationServiceServer
	listener *bufconn.Listener
	open     atomic.Int64 // connections
	streams  atomic.Int64
}

func (s *sidecar) GetKeySet(context.Context, *authv1.GetKeySetRequest) (*authv1.GetKeySetResponse, error) {
	return &authv1.GetKeySetResponse{}, nil
}

func (s *sidecar) WatchRevocations(_ *authv1.WatchRevocationsRequest, stream grpc.ServerStreamingServer[authv1.WatchRevocationsResponse]) error {
	s.streams.Add(1)
	defer s.streams.Add(-1)
	if err := stream.Send(&authv1.WatchRevocationsResponse{}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

// counted is a connection that counts.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

// dial serves the sidecar and returns Identity's way through it to Auth.
func (s *sidecar) dial(t *testing.T, admitted uint32, options ...grpc.DialOption) *client.Conn {
	t.Helper()
	s.listener = bufconn.Listen(1 << 16)
	server := grpc.NewServer(grpc.MaxConcurrentStreams(admitted))
	authv1.RegisterVerificationServiceServer(server, s)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(s.listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	contracts := meshtest.Contract(t)
	def := meshtest.Definition(t)
	conn, err := client.Dial(def, 0, "identity", "auth", client.Options{Contract: contracts, Dial: append(options,
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			c, err := s.listener.DialContext(ctx)
			if err != nil {
				return nil, err
			}
			s.open.Add(1)
			return &counted{c, sync.OnceFunc(func() { s.open.Add(-1) })}, nil
		}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// watch opens n streams and waits until each is there; leave ends them.
func watch(t *testing.T, conn *client.Conn, n int) (leave context.CancelFunc) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	var opening sync.WaitGroup
	for range n {
		opening.Go(func() {
			stream, err := authv1.NewVerificationServiceClient(conn).WatchRevocations(ctx, &authv1.WatchRevocationsRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil {
				t.Errorf("watch: %v", err)
			}
		})
	}
	opening.Wait()
	return leave
}

func ask(t *testing.T, conn *client.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := authv1.NewVerificationServiceClient(conn).GetKeySet(ctx, &authv1.GetKeySetRequest{}); err != nil {
		t.Errorf("a call beside open streams: %v", err)
	}
}

func (s *sidecar) want(t *testing.T, connections, streams int64) {
	t.Helper()
	check.Eventually(t, fmt.Sprintf("%d connections and %d streams", connections, streams), func() bool {
		return s.open.Load() == connections && s.streams.Load() == streams
	})
}

// Long-lived streams fill connections of their own, one after the other; a call waits behind none
// of them; what nobody needs is closed, and a place that became free is taken again.
func TestStreamsHaveConnectionsOfTheirOwn(t *testing.T) {
	s := &sidecar{}
	conn := s.dial(t, 800, grpc.WithIdleTimeout(100*time.Millisecond))
	leave := watch(t, conn, 1700)
	s.want(t, 3, 1700) // the one for calls is not there yet
	for range 10 {
		ask(t, conn)
	}
	leave()
	s.want(t, 0, 0)
	leave = watch(t, conn, 800)
	s.want(t, 1, 800)
	more := watch(t, conn, 1)
	s.want(t, 2, 801)
	leave()
	s.want(t, 1, 1)
	watch(t, conn, 1)
	s.want(t, 2, 2) // the first has places again
	more()
	s.want(t, 1, 1)
}

// What is asked of a way that was closed is refused, and a stream on it ends.
func TestClose(t *testing.T) {
	s := &sidecar{}
	conn := s.dial(t, 800)
	stream, err := authv1.NewVerificationServiceClient(conn).WatchRevocations(t.Context(), &authv1.WatchRevocationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("a stream on it ends with %v", err)
	}
	if _, err := authv1.NewVerificationServiceClient(conn).WatchRevocations(t.Context(), &authv1.WatchRevocationsRequest{}); status.Code(err) != codes.Canceled {
		t.Errorf("a new one answers %v", err)
	}
}

// A stream that could not be opened takes no place.
func TestRefusedStreamsTakeNoPlace(t *testing.T) {
	s, refused := &sidecar{}, errors.New("refused")
	conn := s.dial(t, 800, grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if refused != nil {
			return nil, refused
		}
		return streamer(ctx, desc, cc, method, opts...)
	}))
	for range 801 {
		if _, err := authv1.NewVerificationServiceClient(conn).WatchRevocations(t.Context(), &authv1.WatchRevocationsRequest{}); !errors.Is(err, refused) {
			t.Fatal(err)
		}
	}
	refused = nil
	watch(t, conn, 800)
	s.want(t, 1, 800)
}
