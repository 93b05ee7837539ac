package export_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/octetcounting"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/export"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/tlstest"
)

// syslogServer serves one connection.
func syslogServer(t *testing.T, serve func(net.Conn)) *export.Syslog {
	t.Helper()
	ca := tlstest.New(t)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := plain.Accept()
		if err != nil {
			return
		}
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{ca.Server(t)}, MinVersion: tls.VersionTLS12})
		if err := secure.Handshake(); err == nil {
			serve(secure)
		}
		_ = c.Close()
	}()
	t.Cleanup(func() { _ = plain.Close(); <-done })
	return &export.Syslog{Address: plain.Addr().String(), TLS: &tls.Config{RootCAs: ca.Roots, MinVersion: tls.VersionTLS12}, Host: "host.example"}
}

// A batch is messages of RFC 5424 with their lengths before them, which a parser of strangers
// reads.
func TestSyslogMessages(t *testing.T) {
	t.Parallel()
	read := make(chan []byte, 1)
	s := syslogServer(t, func(c net.Conn) {
		text, _ := io.ReadAll(c)
		read <- text
	})
	b := batch(t, 1, 2, 3)
	b.First = 1<<31 - 2
	check.NoError(t, s.Deliver(t.Context(), b))
	var ids []string
	octetcounting.NewParser(syslog.WithListener(func(r *syslog.Result) {
		check.NoError(t, r.Error)
		m, ok := r.Message.(*rfc5424.SyslogMessage)
		if !ok || *m.Priority != 110 || m.Version != 1 || *m.Appname != "gatehouse" || *m.MsgID != "user.updated" || *m.Hostname != "host.example" {
			t.Fatalf("%+v", m)
		}
		if want := b.Events[len(ids)]; !m.Timestamp.Equal(want.Time) || *m.Message+"\n" != string(b.Lines[len(ids)]) {
			t.Errorf("message %s at %s", *m.Message, m.Timestamp)
		}
		ids = append(ids, (*m.StructuredData)["meta"]["sequenceId"])
	})).Parse(bytes.NewReader(<-read))
	if got := strings.Join(ids, " "); got != "2147483646 2147483647 1" {
		t.Errorf("sequence ids %s", got)
	}
}

// Only a server that has read everything and then closes has taken the batch.
func TestSyslogServersThatDoNotTakeEverything(t *testing.T) {
	t.Parallel()
	reset := func(c net.Conn) {
		raw, _ := c.(*tls.Conn).NetConn().(*net.TCPConn)
		_ = raw.SetLinger(0)
	}
	for name, serve := range map[string]func(net.Conn){
		"reads nothing and goes": reset,
		"answers":                func(c net.Conn) { _, _ = c.Write([]byte("ok")); _, _ = io.Copy(io.Discard, c) },
		"dies while it reads":    func(c net.Conn) { _, _ = c.Read(make([]byte, 10)); reset(c) },
	} {
		if err := syslogServer(t, serve).Deliver(t.Context(), batch(t, 1, 2, 3)); err == nil || isFinal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := syslogServer(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	s.TLS.RootCAs = tlstest.New(t).Roots
	if err := s.Deliver(t.Context(), batch(t, 1)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server with a foreign certificate gets events: %v", err)
	}
	begun, stop := make(chan struct{}), make(chan struct{})
	defer close(stop)
	s = syslogServer(t, func(c net.Conn) { close(begun); <-stop; _ = c.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if err := s.Deliver(ctx, batch(t, 1)); err == nil {
		t.Error("a server that never closes has taken everything")
	}
}
