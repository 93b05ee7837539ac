package middleware

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/logging"
	"github.com/gatehouse/gatehouse/internal/rest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/internal/tracing"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/routes"
)

// anybody admits every token as the subject that it spells.
type anybody struct{}

func (anybody) Verify(_ context.Context, compact string) (token.Claims, error) {
	if compact == "stale" {
		return token.Claims{}, apierr.New(apierr.Unavailable, "REVOCATIONS_STALE", "not known now")
	}
	return token.Claims{Subject: compact}, nil
}

// chain makes the real chain around a handler of the test, and returns what it logs. Without one
// what is not refused is called, and nobody is there.
func chain(t testing.TB, end http.HandlerFunc, edit func(*Params)) (http.Handler, *bytes.Buffer) {
	t.Helper()
	var registers []rest.Register
	for _, register := range routes.Handlers() {
		registers = append(registers, func(ctx context.Context, mux *runtime.ServeMux) error { return register(ctx, mux, nil) })
	}
	door, err := grpcserver.NewREST(meshtest.Contract(t).Methods(), map[string]http.Handler{"/livez": end}, time.Now, registers...)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	plenty := Rate{PerSecond: 1e6, Burst: 1e6}
	p := Params{
		Log: logging.New(logging.Config{Level: "info"}, &log), Registry: prometheus.NewRegistry(), TracerProvider: trace.NewTracerProvider(),
		Propagator: propagation.TraceContext{}, Now: time.Now, NewID: func() string { return "fresh-id" }, REST: door, Verifier: anybody{},
		BodyLimit: 1 << 20, PerAddress: plenty, PerProgram: plenty, PerCredential: plenty, PerSubject: plenty, Streams: 100, StreamsPerSubject: 3,
	}
	if end != nil {
		p.Handler = end
	}
	if edit != nil {
		edit(&p)
	}
	handler, err := Chain(p)
	if err != nil {
		t.Fatal(err)
	}
	return handler, &log
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// R62: a panic is a 500 that says nothing, and a line in the log that says all; the access line is written too.
func TestPanicIsA500(t *testing.T) {
	h, log := chain(t, func(http.ResponseWriter, *http.Request) { panic("secret of the machine") }, nil)
	w := serve(h, httptest.NewRequest("GET", "/livez", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "secret of the machine") || !strings.Contains(log.String(), `"status":500`) {
		t.Errorf("log: %s", log)
	}
	begun, _ := chain(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("late")
	}, nil)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("an answer that has begun must be cut off, not completed: %v", p)
		}
	}()
	serve(begun, httptest.NewRequest("GET", "/livez", nil))
}

// One line a request with ids, route and cause; R74: no token, no query, and no input forges a line.
func TestAccessLog(t *testing.T) {
	h, log := chain(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/livez" {
			rest.Fail(w, r, apierr.New(apierr.Unavailable, "X", "for the client").Because(context.DeadlineExceeded))
			return
		}
		_, _ = io.WriteString(w, "hello")
	}, nil)
	r := httptest.NewRequest("GET", "/api/v1/users/some%0Aone?access_token=canary-query", nil)
	r.URL = &url.URL{Path: "/api/v1/users/one", RawQuery: "access_token=canary-query"}
	r.Header.Set("Authorization", "Bearer canary-token-subject")
	r.Header.Set("User-Agent", "agent\r\n{\"forged\":true}"+strings.Repeat("x", 500))
	serve(h, r)
	serve(h, httptest.NewRequest("GET", "/livez", nil))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines: %s", len(lines), log)
	}
	var first, second map[string]any
	if json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[1]), &second) != nil {
		t.Fatalf("no JSON: %s", log)
	}
	for key, want := range map[string]any{
		"method": "GET", "path": "/api/v1/users/one", "route": "/api/v1/users/{id}", "status": 200.0, "bytes": 5.0, "request_id": "fresh-id",
		"client": "192.0.2.1", "subject": "canary-token-subject",
	} {
		if first[key] != want {
			t.Errorf("%s is %v, want %v", key, first[key], want)
		}
	}
	if first["trace_id"] == nil || first["duration_ms"] == nil {
		t.Errorf("no trace id or duration: %s", lines[0])
	}
	if strings.Contains(log.String(), "canary-query") || strings.Contains(log.String(), "Bearer") {
		t.Errorf("the log tells secrets: %s", log)
	}
	if second["level"] != "WARN" || !strings.Contains(second["error"].(string), "deadline exceeded") {
		t.Errorf("the cause of a 503 is not logged: %s", lines[1])
	}
}

// R55: the client is who the last trusted proxy saw; what stands left of that it may have written itself.
func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10")}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"direct":                {"203.0.113.1:5", nil, "203.0.113.1"},
		"stranger forwards":     {"203.0.113.1:5", []string{"198.51.100.1"}, "203.0.113.1"},
		"one proxy":             {"192.0.2.1:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"forged first":          {"192.0.2.1:5", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		"two proxies":           {"192.0.2.1:5", []string{"1.1.1.1, 198.51.100.1, 10.1.2.3"}, "198.51.100.1"},
		"two headers":           {"192.0.2.1:5", []string{"1.1.1.1, 198.51.100.1", "10.1.2.3"}, "198.51.100.1"},
		"only proxies":          {"192.0.2.1:5", []string{"10.1.2.3"}, "10.1.2.3"},
		"garbage":               {"192.0.2.1:5", []string{"unknown"}, "192.0.2.1"},
		"garbage before":        {"192.0.2.1:5", []string{"nonsense, 198.51.100.1"}, "198.51.100.1"},
		"no header":             {"192.0.2.1:5", nil, "192.0.2.1"},
		"mapped IPv4":           {"[::ffff:192.0.2.1]:5", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"with its port":         {"192.0.2.1:5", []string{"1.1.1.1, 198.51.100.1:51234"}, "198.51.100.1"},
		"proxies with ports":    {"192.0.2.1:5", []string{"198.51.100.1:51234, 10.1.2.3:80,10.1.2.4"}, "198.51.100.1"},
		"IPv6 with its port":    {"192.0.2.1:5", []string{"[2001:db8::1]:443"}, "2001:db8::1"},
		"IPv6 in brackets":      {"192.0.2.1:5", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"mapped, with a port":   {"192.0.2.1:5", []string{"[::ffff:198.51.100.1]:443"}, "198.51.100.1"},
		"IPv4 in brackets":      {"192.0.2.1:5", []string{"[198.51.100.1]:443"}, "192.0.2.1"},
		"no port after a colon": {"192.0.2.1:5", []string{"198.51.100.1:"}, "192.0.2.1"},
		"port that is none":     {"192.0.2.1:5", []string{"198.51.100.1:99999"}, "192.0.2.1"},
		"quotes":                {"192.0.2.1:5", []string{`"198.51.100.1"`}, "192.0.2.1"},
		"bad after good":        {"192.0.2.1:5", []string{"198.51.100.1, unknown, 10.1.2.3:80"}, "10.1.2.3"},
		"empty element":         {"192.0.2.1:5", []string{"198.51.100.1,"}, "192.0.2.1"},
		"link-local proxy":      {"[fe80::1%eth0]:5", []string{"198.51.100.1"}, "198.51.100.1"},
		"IPv6 behind the proxy": {"192.0.2.1:5", []string{"2001:db8::1"}, "2001:db8::1"},
	} {
		t.Run(name, func(t *testing.T) {
			x := &exchange{}
			r := httptest.NewRequest("GET", "/", nil).WithContext(context.WithValue(t.Context(), exchangeKey{}, x))
			r.RemoteAddr = c.peer
			r.Header[forwardedFor] = c.forwarded
			clientAddress(proxies)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(nil, r)
			if x.client.String() != c.want {
				t.Errorf("client %s, want %s", x.client, c.want)
			}
		})
	}
}

// R51: what is not on the list never arrives, forwarding headers of trusted proxies and of strangers among it; who poses as the
// platform is refused, a trusted proxy too.
func TestClosedHeaders(t *testing.T) {
	var seen http.Header
	h, _ := chain(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Clone() },
		func(p *Params) { p.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
	r := httptest.NewRequest("GET", "/livez", nil)
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via", "Cookie", "X-Other", "Te", "Accept"} {
		r.Header.Set(name, "1")
	}
	for _, peer := range []string{"192.0.2.1:5", "203.0.113.1:5"} {
		seen, r.RemoteAddr = nil, peer
		if w := serve(h, r.Clone(t.Context())); w.Code != http.StatusOK || len(seen) != 1 || seen.Get("Accept") != "1" {
			t.Errorf("%s: %d, arrived: %v", peer, w.Code, seen)
		}
	}
	r = httptest.NewRequest("GET", "/livez", nil)
	r.Header.Set("X-User-Id", "1")
	if w := serve(h, r); w.Code != http.StatusBadRequest {
		t.Errorf("a proxy may not say who the user is: %d", w.Code)
	}
}

// A trace that a client begins is not continued, and no response is shared between requests.
func TestTraceIsOurs(t *testing.T) {
	for name, provider := range map[string]oteltrace.TracerProvider{"recorded": trace.NewTracerProvider(), "ids": tracing.IDs()} {
		t.Run(name, func(t *testing.T) {
			var inner string
			seen := map[oteltrace.TraceID]bool{}
			h, log := chain(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Add("X-Content-Type-Options", "changed")
				seen[oteltrace.SpanContextFromContext(r.Context()).TraceID()] = true
			}, func(p *Params) { p.TracerProvider = provider })
			for range 2 {
				r := httptest.NewRequest("GET", "/livez", nil)
				r.Header.Set("Traceparent", "00-11111111111111111111111111111111-2222222222222222-01")
				inner = strings.Join(serve(h, r).Header().Values("X-Content-Type-Options"), ",")
			}
			if inner != "nosniff,changed" {
				t.Errorf("one answer changed the next: %q", inner)
			}
			if strings.Contains(log.String(), "11111111111111111111111111111111") {
				t.Errorf("the client's trace id was taken over: %s", log)
			}
			for id := range seen {
				if len(seen) != 2 || !id.IsValid() || !strings.Contains(log.String(), `"trace_id":"`+id.String()+`"`) {
					t.Errorf("the requests have the traces %v: %s", seen, log)
				}
			}
		})
	}
}

// What a client calls its request is in the log beside our id; what could forge anything is not.
func TestClientsRequestIDIsLogged(t *testing.T) { // R93
	h, log := chain(t, func(http.ResponseWriter, *http.Request) {}, nil)
	for sent, logged := range map[string]bool{"their-id-1": true, "their id 2": false} {
		r := httptest.NewRequest("GET", "/livez", nil)
		r.Header.Set("X-Request-Id", sent)
		if got := serve(h, r).Header().Get("X-Request-Id"); got == sent || got == "" {
			t.Errorf("%q is answered with %q", sent, got)
		}
		if got := strings.Contains(log.String(), `"client_request_id":"`+sent+`"`); got != logged {
			t.Errorf("%q is logged: %v, want %v: %s", sent, got, logged, log)
		}
	}
}

func TestPatternsAreNoOrigins(t *testing.T) {
	for _, origin := range []string{"*", "https://*.example.com", "null", "example.com", "https://example.com/"} {
		if _, err := NewOrigins([]string{"https://a.example", origin}); err == nil || CheckOrigin(origin) == nil {
			t.Errorf("%q is taken for an origin", origin)
		}
	}
}
