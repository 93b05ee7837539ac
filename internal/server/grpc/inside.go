package grpcserver

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/peer"

	"github.com/gatehouse/gatehouse/internal/request"
)

// inside is a listener without a port: a program's REST door reaches the program's own server
// through it, and so through every interceptor. Its connections have an address that nothing from
// outside of the process can have.
type inside struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func listenInside() *inside {
	l := &inside{conns: make(chan net.Conn), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// Accept waits for the next connection.
func (l *inside) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; connections stay.
func (l *inside) Close() error {
	l.close()
	return nil
}

// Addr is the one address of all connections.
func (l *inside) Addr() net.Addr { return insideAddr{} }

// dial connects, for gRPC. It waits until the server accepts.
func (l *inside) dial(ctx context.Context, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- insideConn{theirs}:
		return insideConn{ours}, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// insideConn is one end of a connection.
type insideConn struct{ net.Conn }

// LocalAddr is the address of the listener.
func (insideConn) LocalAddr() net.Addr { return insideAddr{} }

// RemoteAddr is the address of the listener.
func (insideConn) RemoteAddr() net.Addr { return insideAddr{} }

type insideAddr struct{}

// Network is part of net.Addr.
func (insideAddr) Network() string { return "inside" }

// String is part of net.Addr.
func (insideAddr) String() string { return "inside" }

// fromInside reports whether a call comes from this program's own door. No header says so: the
// connection itself does.
func fromInside(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	_, ok = p.Addr.(insideAddr)
	return ok
}

// itself is the program as the caller of its own methods.
func (p Params) itself() request.Caller {
	return request.Caller{Service: p.Program, SPIFFE: p.Mesh.SPIFFE(p.Program)}
}

// admits reports whether the call's program may make it. The program itself calls for who came to
// its door, so what has no route is closed to it.
func (p Params) admits(c *rpc) bool {
	if c.inside {
		return c.policy.Route != nil
	}
	return p.Callers.Admits(c.method, c.service)
}
