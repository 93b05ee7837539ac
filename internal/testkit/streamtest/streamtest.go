// Package streamtest holds what every streaming method of a service must do, whichever way its
// messages go: over a real connection, when its client leaves, when its time is over, when its
// client does not read or send, when it fails in the middle, and, where it has a cursor, when it is
// resumed. A method where only the server streams answers at once, if only with a sign of life. The
// tests of each service's internal/api run it and are named TestStreaming…, so that
//
//	go test ./services/.../internal/api/... -run Streaming -v
//
// shows them all. A service says what its method is by a Case, made anew for each part:
//
//	func TestStreamingWatchThings(t *testing.T) {
//		streamtest.Run(t, func(t *testing.T) streamtest.Case {
//			log := &streamtest.Log{}
//			s := newService(t, grpctest.Config{TCP: true, Log: log})
//			return streamtest.Case{
//				Server: s.Server, Log: log, Conn: s.As("worker"), Method: thingv1.ThingService_WatchThings_FullMethodName,
//				Request: func(int) proto.Message { return &thingv1.WatchThingsRequest{} },
//				Feed:    func() string { return s.makeThing() },
//				Flood:   func() { s.makeThings(1 << 20) },
//				Keys:    func(m proto.Message) []string { return idsOf(m.(*thingv1.WatchThingsResponse)) },
//				Resume:  func(last proto.Message) proto.Message { return &thingv1.WatchThingsRequest{Cursor: last.(*thingv1.WatchThingsResponse).GetCursor()} },
//				Break:   s.database.Close, BrokenCode: codes.Unavailable, BrokenReason: "DATABASE_UNAVAILABLE",
//			}
//		})
//	}
package streamtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// Case is a streaming method of a running program.
type Case struct {
	Server *grpctest.Server // over TCP
	Log    fmt.Stringer     // what the server logs; a *Log
	Conn   grpc.ClientConnInterface
	Method string // "/package.Service/Method"

	// Request is the n-th message of the client on one stream, from 1. Where only the server
	// streams there is one.
	Request func(n int) proto.Message
	// Feed gives every open stream something more to tell and returns its key, another one each
	// time. nil where the client streams: its next message does that.
	Feed func() (key string)
	// Flood gives every open stream more to tell than a connection takes from a client that does
	// not read, 256 KiB and more, but not so much that the service cuts who is behind. nil where
	// the client streams: it sends until it is held up.
	Flood func()
	// Keys names what an answer tells, in order; nothing for a sign of life. nil where the server
	// does not stream.
	Keys func(answer proto.Message) []string
	// Resume is the request that goes on after an answer; nil where there is no cursor.
	Resume func(last proto.Message) proto.Message
	// Break lets the stream fail in its middle, at the latest with the client's next message, with
	// BrokenCode and BrokenReason.
	Break        func()
	BrokenCode   codes.Code
	BrokenReason string
}

// Log collects what a server logs: grpctest.Config.Log.
type Log struct {
	mu  sync.Mutex
	all strings.Builder
}

// Write appends.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Run runs the suite. open is called once for each of its parts.
func Run(t *testing.T, open func(t *testing.T) Case) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(*testing.T, *method)
	}{
		{"real connection", realConnection},
		{"cancellation", cancellation},
		{"deadline", deadline},
		{"stuck client", stuckClient},
		{"error in the middle", errorInTheMiddle},
		{"resume", resume},
	} {
		t.Run(part.name, func(t *testing.T) {
			c := open(t)
			part.run(t, &method{Case: c, desc: describe(t, c.Method)})
		})
	}
}

// method is a case with what its contract says.
type method struct {
	Case
	desc protoreflect.MethodDescriptor
}

func describe(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	check.NoError(t, err)
	desc, ok := found.(protoreflect.MethodDescriptor)
	if !ok || !desc.IsStreamingClient() && !desc.IsStreamingServer() {
		t.Fatalf("%s is not a stream", method)
	}
	return desc
}

// stream is one call of the method.
type stream struct {
	grpc.ClientStream
	m     *method
	sent  atomic.Int64
	begun bool
	told  []string      // keys of last that were not asked for yet
	last  proto.Message // the answer that has the keys
}

// open begins a stream. Where only the server streams it sends the request, the first one if nil.
func (m *method) open(ctx context.Context, request proto.Message) (*stream, error) {
	d := &grpc.StreamDesc{StreamName: string(m.desc.Name()), ClientStreams: m.desc.IsStreamingClient(), ServerStreams: m.desc.IsStreamingServer()}
	cs, err := m.Conn.NewStream(ctx, d, m.Method)
	if err != nil {
		return nil, err
	}
	s := &stream{ClientStream: cs, m: m}
	if m.desc.IsStreamingClient() {
		return s, nil
	}
	if request == nil {
		request = m.Request(1)
	}
	if err := s.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return s, s.CloseSend()
}

// answer receives the next answer, whatever it tells.
func (s *stream) answer() (proto.Message, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(s.m.desc.Output().FullName())
	if err != nil {
		return nil, err
	}
	m := kind.New().Interface()
	return m, s.RecvMsg(m)
}

// next returns the next key that the server tells; the answer that tells it is last.
func (s *stream) next() (key string, err error) {
	for len(s.told) == 0 {
		if err := s.read(); err != nil {
			return "", err
		}
	}
	key, s.told = s.told[0], s.told[1:]
	return key, nil
}

func (s *stream) read() (err error) {
	if s.last, err = s.answer(); err == nil {
		s.begun, s.told = true, s.m.Keys(s.last)
	}
	return err
}

// send sends the client's next message. The server may have ended the stream: receiving says why.
func (s *stream) send() error {
	if err := s.SendMsg(s.m.Request(int(s.sent.Add(1)))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// exchange moves something each way in which the method streams, and returns the key of what the
// server told.
func (s *stream) exchange() (key string, err error) {
	switch {
	case !s.m.desc.IsStreamingServer():
		return "", s.send()
	case s.m.desc.IsStreamingClient():
		if err := s.send(); err != nil {
			return "", err
		}
		return s.next()
	}
	if !s.begun { // what happens before the first answer may be before the stream
		if err := s.read(); err != nil {
			return "", err
		}
	}
	for fed := s.m.Feed(); key != fed && err == nil; {
		key, err = s.next()
	}
	return key, err
}

// begin opens a stream on which something has moved.
func (m *method) begin(t *testing.T, ctx context.Context) *stream {
	t.Helper()
	s, err := m.open(ctx, nil)
	check.NoError(t, err)
	_, err = s.exchange()
	check.NoError(t, err)
	return s
}

// ended waits until the program has logged the end of so many calls of the method.
func (m *method) ended(t *testing.T, calls int) {
	t.Helper()
	check.Eventually(t, "the handler returns", func() bool {
		n := 0
		for line := range strings.Lines(m.Log.String()) {
			if strings.Contains(line, `"msg":"grpc request"`) && strings.Contains(line, `"method":"`+m.Method+`"`) {
				n++
			}
		}
		return n >= calls
	})
}

// realConnection: messages go both ways through a socket, and each answer is another one.
func realConnection(t *testing.T, m *method) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := m.begin(t, ctx)
	seen := map[string]bool{}
	for range 3 {
		key, err := s.exchange()
		check.NoError(t, err)
		if m.desc.IsStreamingServer() && seen[key] {
			t.Errorf("%s came twice", key)
		}
		seen[key] = true
	}
	if m.desc.IsStreamingClient() {
		check.NoError(t, s.CloseSend())
		if _, err := s.answer(); errors.Is(err, io.EOF) != m.desc.IsStreamingServer() || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("the stream ends with %v", err)
		}
	}
	if p, ok := peer.FromContext(s.Context()); !ok || p.Addr.Network() != "tcp" {
		t.Errorf("the peer is %v: start the server with grpctest.Config.TCP", p)
	} else if _, _, err := net.SplitHostPort(p.Addr.String()); err != nil {
		t.Error(err)
	}
}

// cancellation: a client that leaves frees its place.
func cancellation(t *testing.T, m *method) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := m.begin(t, ctx)
	cancel()
	for err := error(nil); err == nil; {
		_, err = s.answer()
	}
	m.ended(t, 1)
}
