package smtp

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// connection is the one connection of an attempt, which can be cut at any moment.
type connection struct {
	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

func (k *connection) dial(ctx context.Context, network, address string, c Config) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err == nil && c.Security == Implicit {
		secured := tls.Client(conn, c.TLS)
		if err = secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
		}
		conn = secured
	}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		_ = conn.Close()
	}
	k.conn = conn
	return conn, nil
}

func (k *connection) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	if k.conn != nil {
		_ = k.conn.Close()
	}
}
