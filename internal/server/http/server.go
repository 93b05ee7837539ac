// Package httpserver is the HTTP server of a program, its ops handler and the one mapper of errors to problem documents (RFC 9457).
//
// The gateway uses it for its public listener, every program for its ops listener. Kernel packages, the gateway and wiring import it.
package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Limits of every HTTP listener (docs/architecture/security.md).
const (
	MaxHeaderBytes    = 32 << 10         // request line and header fields
	MaxURILength      = 8000             // octets of the request target (RFC 9110 section 4.1 asks for 8,000 at least)
	ReadTimeout       = 10 * time.Second // for the header block, and again for the body
	WriteTimeout      = 60 * time.Second // for a whole response; above every deadline, streams lift it for themselves
	IdleTimeout       = 90 * time.Second // between two requests on one connection
	ShutdownTimeout   = 20 * time.Second // for requests in flight when the program stops, unless the context ends earlier
	netHTTPHeaderSlop = 4096             // net/http reads so much more than its MaxHeaderBytes
)

// Config says where to listen. It is made by wiring, from the program's own option group.
type Config struct {
	Name     string           // for sentences, such as "ops listener"
	Address  string           // host:port
	TLS      *tls.Config      // nil for plain HTTP/1.1
	Log      *slog.Logger     // for what net/http has to say, at debug; nil discards it
	Now      func() time.Time // the real clock, for deadlines on sockets; required
	ReadTime time.Duration    // instead of ReadTimeout, for tests; 0 means ReadTimeout
}

// Server is an HTTP server with limits. Use New, Listen, Serve, and Shutdown.
type Server struct {
	config Config
	http   *http.Server

	mu       sync.Mutex
	listener net.Listener
}

// New makes a server that holds the limits of this package in front of the handler, but for LimitURI, which is the handler's to place.
func New(c Config, handler http.Handler) *Server {
	if c.ReadTime == 0 {
		c.ReadTime = ReadTimeout
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{config: c, http: &http.Server{
		Handler:           limitBodyTime(c.ReadTime, c.Now, handler),
		TLSConfig:         c.TLS,
		ReadHeaderTimeout: c.ReadTime,
		// No ReadTimeout: it would also end the context of a handler that works longer than that (net/http reads on in the
		// background). limitBodyTime bounds the body.
		WriteTimeout:   WriteTimeout,
		IdleTimeout:    IdleTimeout,
		MaxHeaderBytes: MaxHeaderBytes - netHTTPHeaderSlop,
		ErrorLog:       slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true, // OPTIONS * is the handler's, as every other request
	}}
}

// Listen takes the port. A taken one is an error that says so.
func (s *Server) Listen(ctx context.Context) error {
	listener, err := listenConfig().Listen(ctx, "tcp", s.config.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: another program listens on %s already: stop it or configure another port: %w", s.config.Name, s.config.Address, err)
	}
	if err != nil {
		return fmt.Errorf("%s: listen: %w", s.config.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener = listener
	return nil
}

// Addr returns the address that Listen took, useful where the configured port is 0; "" before.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Serve answers requests until Shutdown, then returns nil. Listen comes first.
func (s *Server) Serve() error {
	s.mu.Lock()
	listener := s.listener
	s.mu.Unlock()
	if listener == nil {
		return fmt.Errorf("%s: serve before listen", s.config.Name)
	}
	var err error
	if s.config.TLS != nil {
		err = s.http.ServeTLS(listener, "", "")
	} else {
		err = s.http.Serve(listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: serve: %w", s.config.Name, err)
}

// Shutdown takes no more requests, waits for those in flight until the context ends or ShutdownTimeout has passed, and cuts the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ShutdownTimeout)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("%s: requests in flight were cut: %w", s.config.Name, err), s.http.Close())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close() // already closed by Shutdown, unless Serve was never called
	}
	return nil
}
