// Package mailtest gives tests a real SMTP server, and holds stores to the words of mail.Store.
package mailtest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
)

// Whom the server lets in, where it asks at all.
const (
	User     = "gatehouse"
	Password = "correct horse battery staple"
)

// Server is an SMTP server that takes mails as its test says.
type Server struct {
	Address string
	Roots   *x509.CertPool // of its certificate

	Answer   func(n int) error // to the end of the nth DATA, from 1; nil takes the mail
	Accept   func(to string) error
	Accepted func() // a mail was taken, and the client does not know yet

	server   *gosmtp.Server
	listener net.Listener
	done     chan struct{}

	mu    sync.Mutex
	datas int
	taken []string
}

// Start starts a server, which ends with the test, at an address; "" chooses one. Of its fields set
// what the server should do first.
func (s *Server) Start(t *testing.T, address string, security smtp.Security) *Server {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.Address = listener.Addr().String()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	ca := tlstest.New(t)
	config.Certificates, s.Roots = []tls.Certificate{ca.Server(t)}, ca.Roots
	s.server = gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &session{server: s}, nil }))
	s.server.Domain, s.server.ErrorLog = "mail.example.com", quiet{}
	s.server.AllowInsecureAuth = security == smtp.Clear
	switch security {
	case smtp.StartTLS:
		s.server.TLSConfig = config
	case smtp.Implicit:
		listener = tls.NewListener(listener, config)
	case smtp.Clear:
	}
	s.listener, s.done = listener, make(chan struct{})
	go func() {
		defer close(s.done)
		_ = s.server.Serve(listener) // an error is its end
	}()
	t.Cleanup(s.Stop)
	return s
}

// Stop ends the server and its connections.
func (s *Server) Stop() {
	_ = s.listener.Close() // which the server does not know yet if it has just begun
	_ = s.server.Close()   // once more is an error
	<-s.done
}

// Config is that of a sender for the server.
func (s *Server) Config(t *testing.T, security smtp.Security) smtp.Config {
	t.Helper()
	return ConfigFor(t, s.Address, s.Roots, security)
}

// ConfigFor is that of a sender for a server at an address.
func ConfigFor(t *testing.T, address string, roots *x509.CertPool, security smtp.Security) smtp.Config {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := net.LookupPort("tcp", text)
	if err != nil {
		t.Fatal(err)
	}
	return smtp.Config{
		Host: host, Port: port, Security: security, TLS: &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12},
		From: "Gatehouse <no-reply@gate.example>", Domain: "gate.example",
	}
}

// Taken are the mails that were taken, as they came.
func (s *Server) Taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.taken...)
}

// Parse reads a mail as it came.
func Parse(t *testing.T, raw string) *netmail.Message {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("not a mail: %v\n%s", err, raw)
	}
	return m
}

// session is one connection.
type session struct{ server *Server }

func (s *session) Reset() {}

func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != User || password != Password {
			return gosmtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Mail(string, *gosmtp.MailOptions) error { return nil }

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if s.server.Accept != nil {
		return s.server.Accept(to)
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	var body bytes.Buffer
	if _, err := io.Copy(&body, r); err != nil {
		return err
	}
	s.server.mu.Lock()
	s.server.datas++
	n := s.server.datas
	s.server.mu.Unlock()
	if s.server.Answer != nil {
		if err := s.server.Answer(n); err != nil {
			return err
		}
	}
	s.server.mu.Lock()
	s.server.taken = append(s.server.taken, body.String())
	s.server.mu.Unlock()
	if s.server.Accepted != nil {
		s.server.Accepted()
	}
	return nil
}

// Refusal is an answer of a server.
func Refusal(code int, text string) error {
	return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCode{code / 100, 1, 1}, Message: text}
}

// quiet discards what the server would log.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

func (quiet) Println(...any) {}
