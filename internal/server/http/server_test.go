package httpserver_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	httpserver "github.com/gatehouse/gatehouse/internal/server/http"
)

func serve(t *testing.T, c httpserver.Config, handler http.Handler) *httpserver.Server {
	t.Helper()
	c.Name, c.Address, c.Now = "test listener", "127.0.0.1:0", time.Now
	s := httpserver.New(c, handler)
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx) // some tests leave a request hanging
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// raw sends text and returns the first line of the response, "" when the connection ends without
// one.
func raw(t *testing.T, s *httpserver.Server, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, text)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.WriteHeader(http.StatusNoContent)
})

// R54: URI of 8,000 octets accepted, header block of 32 KiB at most.
func TestSizesOfTheRequestHead(t *testing.T) {
	s := serve(t, httpserver.Config{}, httpserver.LimitURI(ok))
	for name, c := range map[string]struct {
		uri, header int
		want        string
	}{
		"URI at the limit":          {httpserver.MaxURILength, 0, "HTTP/1.1 204"},
		"URI over the limit":        {httpserver.MaxURILength + 1, 0, "HTTP/1.1 414"},
		"header within the limit":   {1, httpserver.MaxHeaderBytes - 200, "HTTP/1.1 204"},
		"header over the limit":     {1, httpserver.MaxHeaderBytes + 200, "HTTP/1.1 431"},
		"both, within and together": {httpserver.MaxURILength, httpserver.MaxHeaderBytes - httpserver.MaxURILength - 200, "HTTP/1.1 204"},
	} {
		head := "GET /" + strings.Repeat("a", c.uri-1) + " HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("b", c.header) + "\r\n\r\n"
		if got := raw(t, s, head); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
}

// R54: slow clients are cut. The test's limit is half a second instead of ten, in which a busy
// machine reads what was sent at once.
func TestSlowClientsAreCut(t *testing.T) {
	const limit = 500 * time.Millisecond
	failed := make(chan error, 1)
	s := serve(t, httpserver.Config{ReadTime: limit}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		failed <- err
		w.WriteHeader(http.StatusRequestTimeout)
	}))
	for name, text := range map[string]string{
		"header": "GET / HTTP/1.1\r\nHost: x\r\n",
		"body":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
		"chunks": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
	} {
		start := time.Now()
		raw(t, s, text) // which waits for 20 s
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("slow %s was cut after %s only", name, took)
		}
		if name == "header" {
			continue
		}
		var timeout net.Error
		if err := <-failed; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("slow %s: the handler read %v", name, err)
		}
	}
}

// R91: a handler that answers without reading the body is heard at once by who waits for 100
// Continue, and the connection ends.
func TestRefusalToWhoWaitsToContinue(t *testing.T) {
	s := serve(t, httpserver.Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	for _, framing := range []string{"Content-Length: 5", "Content-Length: 1000000", "Transfer-Encoding: chunked"} {
		began := time.Now()
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+framing+"\r\n\r\n")
		answer, err := io.ReadAll(conn)
		_ = conn.Close()
		if took := time.Since(began); err != nil || took > 3*time.Second || !strings.HasPrefix(string(answer), "HTTP/1.1 401") {
			t.Errorf("%s: after %s %q, %v", framing, took, answer, err)
		}
	}
}

// A deadline for reading the body must not end the work of a handler that has read it.
func TestLongWorkIsNotCut(t *testing.T) {
	const limit = 250 * time.Millisecond
	s := serve(t, httpserver.Config{ReadTime: limit}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusInternalServerError)
		case <-time.After(3 * limit):
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	for _, text := range []string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		if got := raw(t, s, text); !strings.HasPrefix(got, "HTTP/1.1 204") {
			t.Errorf("%.8s…: %q", text, got)
		}
	}
}

// The same limits hold where TLS brings HTTP/2, per stream: others on the connection go on.
func TestSlowBodiesAreCutOnHTTP2(t *testing.T) {
	const limit = 2 * time.Second // which is for the handshake too
	failed := make(chan error, 1)
	began := time.Now()
	borrowed := httptest.NewTLSServer(nil) // for its certificate, and a client that trusts it
	defer borrowed.Close()
	s := serve(t, httpserver.Config{ReadTime: limit, TLS: &tls.Config{
		Certificates: borrowed.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
	}}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			_, err := io.Copy(io.Discard, r.Body)
			failed <- err
		}
		w.Header().Set("X-Protocol", r.Proto)
	}))
	client := borrowed.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true
	defer client.CloseIdleConnections()

	// The connection is made first: on a busy machine the handshake alone may take longer than the
	// limit.
	for res, err := client.Get("https://" + s.Addr()); ; res, err = client.Get("https://" + s.Addr()) {
		if err == nil {
			_ = res.Body.Close()
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal(err)
		}
	}
	never, end := io.Pipe()
	defer func() { _ = end.Close() }()
	go func() {
		res, err := client.Post("https://"+s.Addr(), "text/plain", never)
		if err == nil {
			_ = res.Body.Close()
		}
	}()
	if err := <-failed; err == nil {
		t.Error("the handler read a whole body that never ended")
	}
	res, err := client.Get("https://" + s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := res.Header.Get("X-Protocol"); got != "HTTP/2.0" {
		t.Errorf("spoke %s", got)
	}
}

func TestATakenPortIsASentence(t *testing.T) {
	first := serve(t, httpserver.Config{}, ok)
	second := httpserver.New(httpserver.Config{Name: "ops listener", Address: first.Addr(), Now: time.Now}, ok)
	err := second.Listen(t.Context())
	if err == nil || !strings.Contains(err.Error(), "another program listens on "+first.Addr()) {
		t.Errorf("error %v", err)
	}
}

func TestShutdownLetsRequestsFinishAndTakesNoMore(t *testing.T) {
	defer goleak.VerifyNone(t)
	entered, release := make(chan struct{}), make(chan struct{})
	s := httpserver.New(httpserver.Config{Name: "x", Address: "127.0.0.1:0", Now: time.Now}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		w.WriteHeader(http.StatusNoContent)
	}))
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan int, 1)
	go func() {
		res, err := client.Get("http://" + s.Addr())
		if err != nil {
			answered <- 0
			return
		}
		_ = res.Body.Close()
		answered <- res.StatusCode
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Error("a connection is accepted during the shutdown")
	}
	close(release)
	if got := <-answered; got != http.StatusNoContent {
		t.Errorf("the request in flight got %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestShutdownWithoutServeFreesThePort(t *testing.T) {
	s := httpserver.New(httpserver.Config{Name: "x", Address: "127.0.0.1:0", Now: time.Now}, ok)
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
}

// What cannot listen or serve says which listener it is.
func TestListenerThatFails(t *testing.T) {
	s := httpserver.New(httpserver.Config{Name: "test listener", Address: "127.0.0.1:no-port", Now: time.Now}, ok)
	for what, err := range map[string]error{"listening": s.Listen(t.Context()), "serving": s.Serve()} {
		if err == nil || !strings.HasPrefix(err.Error(), "test listener: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := s.Addr(); got != "" {
		t.Errorf("it listens on %s", got)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Errorf("shut down: %v", err)
	}
	half := httpserver.New(httpserver.Config{Name: "test listener", Address: "127.0.0.1:0", Now: time.Now, TLS: &tls.Config{}}, ok) // without a certificate
	if err := half.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := half.Serve(); err == nil || !strings.HasPrefix(err.Error(), "test listener: serve: ") {
		t.Errorf("serving: %v", err)
	}
	_ = half.Shutdown(t.Context())
}
