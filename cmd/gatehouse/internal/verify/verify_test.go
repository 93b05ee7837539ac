package verify

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func TestClassify(t *testing.T) {
	detailed, err := status.New(codes.Unauthenticated, "no token").WithDetails(&errdetails.ErrorInfo{Reason: "TOKEN_MISSING"})
	if err != nil {
		t.Fatal(err)
	}
	fromService := metadata.Pairs(upstreamTime, "3")
	for name, c := range map[string]struct {
		header metadata.MD
		err    error
		want   Verdict
	}{
		"the sidecar refuses":              {nil, status.Error(codes.PermissionDenied, rbac), Refused},
		"the service refuses":              {nil, status.Error(codes.PermissionDenied, "not yours"), Broken},
		"the service refuses with details": {fromService, status.Error(codes.PermissionDenied, "not yours"), Broken},
		"unreadable message":               {nil, status.Error(codes.Internal, "grpc: error unmarshalling request: proto: cannot parse"), Passed},
		"no token":                         {nil, detailed.Err(), Passed},
		"an answer":                        {nil, nil, Passed},
		"the end of a stream":              {nil, io.EOF, Passed},
		"nobody behind the sidecar":        {nil, status.Error(codes.Unavailable, "no healthy upstream"), Broken},
		"nobody behind, with the header":   {fromService, status.Error(codes.Unavailable, "x"), Broken},
		"too late":                         {nil, status.Error(codes.DeadlineExceeded, "x"), Broken},
		"unknown method":                   {fromService, status.Error(codes.Unimplemented, "unknown method"), Broken},
		"Internal from who knows where":    {nil, status.Error(codes.Internal, "stream reset"), Broken},
	} {
		if got, text := classify(c.header, c.err); got != c.want {
			t.Errorf("%s: %s (%s), want %s", name, got, text, c.want)
		}
	}
}

// server listens, greets every connection in its way and returns its address.
func server(t *testing.T, greet func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				greet(conn)
				_ = conn.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

// plainly dials from here.
func plainly(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func TestSpeak(t *testing.T) {
	read := func(c net.Conn) {
		_, _ = io.ReadFull(c, make([]byte, len(sslRequest))) // what is said does not matter
	}
	for name, c := range map[string]struct {
		greet    func(net.Conn)
		want     Verdict
		patience time.Duration
	}{
		"an answer":        {func(c net.Conn) { read(c); _, _ = c.Write([]byte("N")) }, Passed, time.Minute},
		"a closed door":    {func(net.Conn) {}, Refused, time.Minute},
		"a late refusal":   {read, Refused, time.Minute},
		"a TLS alert":      {func(c net.Conn) { read(c); _, _ = c.Write([]byte{tlsAlert, 3, 1}) }, Refused, time.Minute},
		"nothing but time": {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, Broken, 300 * time.Millisecond},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), c.patience)
		if got, text := speak(ctx, plainly, server(t, c.greet), nil, sslRequest); got != c.want {
			t.Errorf("%s: %s (%s), want %s", name, got, text, c.want)
		}
		cancel()
	}
	if got, text := speak(t.Context(), plainly, "127.0.0.1:1", nil, sslRequest); got != Broken {
		t.Errorf("a port nobody listens on: %s (%s), want broken: it proves nothing", got, text)
	}
}

// The callee's certificate counts too: one of another CA proves nothing.
func TestSpeakInsistsOnTheMesh(t *testing.T) {
	address := server(t, func(c net.Conn) { _ = tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS12}).Handshake() })
	if got, text := speak(t.Context(), plainly, address, roots{pool: x509.NewCertPool()}.client(identity{}, "auth"), sslRequest); got == Passed {
		t.Errorf("a server without a mesh certificate: %s (%s)", got, text)
	}
	if got, _ := closed(&tls.CertificateVerificationError{Err: errors.New("x")}); got != Broken {
		t.Errorf("a foreign server certificate counts as %s, want broken", got)
	}
}

// Every cell of the definition is asked for every program and backing service, and nothing that is denied may pass for allowed.
func TestProbesCoverTheMatrix(t *testing.T) {
	def := meshtest.Definition(t)
	g := &ground{own: map[string]identity{"any": {}}}
	for _, program := range callers(def) {
		g.callees = append(g.callees, instance{program: program, name: program, id: program})
	}
	for _, p := range def.Programs {
		g.callers = append(g.callers, sidecar{program: p, name: p.Name, address: Machine{}.address})
	}
	m := &matrix{ground: g, def: def}
	probes, err := m.probes()
	if err != nil {
		t.Fatal(err)
	}
	public, ways := map[string]Verdict{}, map[string]bool{}
	strangers := 0
	for _, p := range probes {
		switch p.Way {
		case Public:
			public[p.Caller+" "+p.Callee+" "+p.Path] = p.Want
		case Sidecar:
			ways[p.Caller+" "+p.Callee+" "+p.Path] = true
		case Stranger:
			strangers++
		case Agent, Template: // is in no cell
		}
	}
	for _, cell := range def.Cells() {
		key := cell.Caller + " " + cell.Callee + " " + cell.Path
		want := Refused
		if cell.Allowed {
			want = Passed
		}
		if got, asked := public[key]; !asked || got != want {
			t.Errorf("%s: asked %v, want %s, got %s", cell, asked, want, got)
		}
		if cell.Allowed && !ways[key] {
			t.Errorf("%s is not asked through the caller's own sidecar", cell)
		}
	}
	for _, caller := range callers(def) {
		for _, callee := range callers(def) {
			if caller == "postgres" && public[caller+" "+callee+" "] == Passed {
				t.Errorf("postgres may call %s", callee)
			}
		}
	}
	if want := 3 * len(callers(def)); strangers != want {
		t.Errorf("%d strangers, want %d", strangers, want)
	}
}

func TestReport(t *testing.T) {
	def := meshtest.Definition(t)
	r := &Report{Results: []Result{
		{Caller: "gateway", Callee: "auth", Path: "/a.S/M", Way: Public, Want: Passed, Got: Passed},
		{Caller: "identity", Callee: "auth", Path: "/a.S/M", Way: Public, Want: Refused, Got: Passed, Answer: "OK"},
		{Caller: "gateway", Callee: "auth", Path: "/a.S/M", Way: Sidecar, Want: Passed, Got: Passed},
		{Caller: "plain TCP", Callee: "auth", Way: Stranger, Want: Refused, Got: Refused},
	}}
	r.conclude(def)
	if r.OK() || r.Cells != 2 || r.Allowed != 1 || r.Denied != 1 || r.Sidecars != 1 || r.Strangers != 1 || len(r.Wrong) != 1 {
		t.Errorf("%+v", r)
	}
	var out bytes.Buffer
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"WRONG: identity -> /a.S/M", "must be refused and was passed", "allowed", "2 cells (1 allowed, 1 denied)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, out.String())
		}
	}
	r.Wrong, r.Listening = nil, []string{"consul listens on 0.0.0.0:8500"}
	if r.OK() {
		t.Error("a socket that is open to other machines counts as fine")
	}
	r.Listening, r.Untried = nil, []string{"calls through the sidecar of auth"}
	out.Reset()
	if err := r.Text(&out); err != nil {
		t.Fatal(err)
	}
	if !r.OK() || r.Whole() || strings.Contains(out.String(), "everything is as") || !strings.Contains(out.String(), "NOT TRIED: calls through the sidecar of auth") {
		t.Errorf("what was not tried has passed:\n%s", out.String())
	}
}
