package client

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
)

const (
	// streamsPerConnection is how many streams share a connection. An Envoy listener
	// admits 1,024 requests of one connection at a time; the next one waits without a word.
	streamsPerConnection = 800

	// idleConnection is how long a connection for streams stays open without any.
	idleConnection = time.Minute
)

// Conn is the way to one upstream. Calls share one connection, also with streams that only the
// callee sends and a deadline bounds. Long-lived streams have connections of their own, as many as
// are needed, so that no call waits behind them. Streams that the caller sends have others again:
// what the callee does not read in time fills a connection's window in the sidecars, for all that
// is sent on it. Safe for concurrent use.
type Conn struct {
	calls     *grpc.ClientConn
	longLived map[string]bool // methods, as "/package.Service/Method"
	dial      func() (*grpc.ClientConn, error)

	mu      sync.Mutex
	reading []*streamConn // for long-lived streams that only the callee sends
	sending []*streamConn // for all that the caller sends
	closed  bool
}

// streamConn is a connection for streams. Without any it closes its transport and keeps
// its place in the list.
type streamConn struct {
	*grpc.ClientConn
	open int // streams
}

// Invoke makes a unary call.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.calls.Invoke(ctx, method, args, reply, opts...)
}

// NewStream opens a stream, on a connection with room for it unless it is as short as a call.
func (c *Conn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	var streams *[]*streamConn
	switch {
	case desc.ClientStreams:
		streams = &c.sending
	case c.longLived[method]:
		streams = &c.reading
	default:
		return c.calls.NewStream(ctx, desc, method, opts...)
	}
	conn, leave, err := c.enter(streams)
	if err != nil {
		return nil, err
	}
	stream, err := conn.NewStream(ctx, desc, method, append(slices.Clone(opts), grpc.OnFinish(func(error) { leave() }))...)
	if err != nil {
		leave() // an interceptor may have refused, before gRPC took note of the stream
		return nil, err
	}
	return stream, nil
}

// enter takes a place on one of the connections for streams: the first that has one, so that the
// others empty and close.
func (c *Conn) enter(streams *[]*streamConn) (conn *grpc.ClientConn, leave func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.calls, func() {}, nil // says that it is closing
	}
	i := slices.IndexFunc(*streams, func(s *streamConn) bool { return s.open < streamsPerConnection })
	if i < 0 {
		conn, err := c.dial()
		if err != nil {
			return nil, nil, err
		}
		i, *streams = len(*streams), append(*streams, &streamConn{ClientConn: conn})
	}
	s := (*streams)[i]
	s.open++
	return s.ClientConn, sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		s.open--
	}), nil
}

// Close closes every connection, and ends what runs on them.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	streams := slices.Concat(c.reading, c.sending)
	c.mu.Unlock()
	errs := []error{c.calls.Close()}
	for _, s := range streams { // not under the lock: the end of a stream takes it
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
