package grpcserver_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// exchanges runs OpenIDService with handlers of the test. Its methods are those of a provider and
// of pages: one that programs read, one that they send forms to, and one that people do.
type exchanges struct {
	url                string
	read, token, login http.HandlerFunc
	log                logLines
	trail              *grpctest.Trail
	registry           *prometheus.Registry
}

const tokenPath, loginPath, readPath = "/oauth2/token", "/a/page", "/oauth2/jwks"

func serveExchanges(t testing.TB) *exchanges {
	t.Helper()
	contracts := meshtest.Contract(t)
	form := func(method, path string, visitors contract.Visitors) {
		m, ok := contracts.Method("/gatehouse.auth.v1.OpenIDService/" + method)
		if !ok {
			t.Fatalf("there is no method %s", method)
		}
		m.Route, m.ReadOnly, m.Idempotent, m.Visitors = &contract.Route{Verb: "POST", Path: path}, false, false, visitors
		m.Audit = contract.Audit{Action: "auth.tried", ObjectType: "user", Secret: []string{"http"}}
	}
	form("Token", tokenPath, contract.ByPrograms)
	form("AuthorizationServerMetadata", loginPath, contract.ByPeople)
	x := &exchanges{trail: grpctest.NewTrail(), registry: prometheus.NewRegistry()}
	public, err := url.Parse("https://id.example.com")
	if err != nil {
		t.Fatal(err)
	}
	by := func(h *http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*h)(w, r) })
	}
	handlers := everyExchange(http.NotFoundHandler())
	handlers["KeySet"], handlers["Token"], handlers["AuthorizationServerMetadata"] = by(&x.read), by(&x.token), by(&x.login)
	desc, err := web.Service(&authv1.OpenIDService_ServiceDesc, contracts, public, handlers)
	if err != nil {
		t.Fatal(err)
	}
	s := grpctest.New(t, grpctest.Config{
		Program: "auth", Contract: contracts, Log: &x.log, Refusals: x.trail, Registry: x.registry, Callers: grpctest.Consenting(t),
		Registrations: []grpcserver.Registration{{Desc: desc, Impl: struct{}{}}},
	})
	x.url, _ = s.Door()
	return x
}

// everyExchange has one handler for all methods of the service.
func everyExchange(h http.Handler) map[string]http.Handler {
	handlers := map[string]http.Handler{}
	for _, method := range authv1.OpenIDService_ServiceDesc.Methods {
		handlers[method.MethodName] = h
	}
	return handlers
}

// do sends a request; the body is a form, unless the header says something else.
func (x *exchanges) do(t *testing.T, method, target, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, x.url+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", web.FormType)
	}
	return answered(t, r)
}

// R14, R51: a handler sees the request as it was sent, and of its header what web exchanges get;
// nobody says who it is but the contract, the configuration and the edge.
func TestWhatAnExchangeSees(t *testing.T) {
	x := serveExchanges(t)
	var seen *http.Request
	var body string
	x.token = func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen, body = r, string(b)
		w.WriteHeader(http.StatusNoContent)
	}
	sent := "grant_type=x&resource=a&resource=b&unknown=%C3%A9+1"
	a := x.do(t, "POST", tokenPath+"?tenant=%2F", sent,
		"Authorization", "Basic abc", "Cookie", "__Host-gatehouse=1", "Cookie", "odd=\xff", "Accept-Language", "de", "Sec-Fetch-Site", "cross-site",
		"Origin", "https://app.example.com", "X-Forwarded-For", "203.0.113.9", "X-Forwarded-Host", "evil.example", "Referer", "https://evil.example/",
		"If-Match", `"1"`, "User-Agent", "agent/1")
	if a.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	want := http.Header{
		"Authorization": {"Basic abc"}, "Cookie": {"__Host-gatehouse=1", "odd=\xff"}, "Accept-Language": {"de"}, "Sec-Fetch-Site": {"cross-site"},
		"Origin": {"https://app.example.com"}, "Content-Type": {web.FormType}, "User-Agent": {"agent/1"},
	}
	for name := range seen.Header {
		if !slices.Equal(seen.Header[name], want[name]) {
			t.Errorf("%s is %q, want %q", name, seen.Header[name], want[name])
		}
	}
	for name := range want {
		if seen.Header[name] == nil {
			t.Errorf("%s is lost", name)
		}
	}
	if body != sent || seen.URL.String() != tokenPath+"?tenant=%2F" || seen.Method != "POST" || seen.Host != "id.example.com" ||
		seen.RemoteAddr != "127.0.0.1:0" || seen.ContentLength != int64(len(sent)) || request.ID(seen.Context()) == "" {
		t.Errorf("the handler sees %s %s of %s from %s with %q, request %q", seen.Method, seen.URL, seen.Host, seen.RemoteAddr, body, request.ID(seen.Context()))
	}
	if _, bounded := seen.Context().Deadline(); !bounded {
		t.Error("the handler has no deadline")
	}
	if err := seen.ParseForm(); err == nil && seen.PostForm == nil {
		t.Error("the form cannot be read")
	}
}

// R26: of what a handler sets that leaves which is its own to say; the door's headers stay where it
// says nothing.
func TestWhatAnExchangeSends(t *testing.T) {
	x := serveExchanges(t)
	x.read = func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Location", "https://app.example.com/cb?code=1")
		h.Add("Set-Cookie", "a=1")
		h.Add("Set-Cookie", "b=2")
		h.Set("Content-Security-Policy", "default-src 'self'")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("X-Gatehouse-Caller", "x")
		h.Set("Strict-Transport-Security", "max-age=0")
		h.Set("Transfer-Encoding", "chunked")
		h.Set("X-Request-Id", "forged")
		w.WriteHeader(http.StatusSeeOther)
		h.Set("Vary", "too late")
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "moved")
	}
	a := x.do(t, "GET", readPath, "")
	if a.StatusCode != http.StatusSeeOther || a.body != "moved" || a.Header.Get("Location") != "https://app.example.com/cb?code=1" ||
		!slices.Equal(a.Header["Set-Cookie"], []string{"a=1", "b=2"}) || a.Header.Get("Content-Security-Policy") != "default-src 'self'" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "", "X-Gatehouse-Caller": "", "Vary": "", "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
	} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if a.Header.Get("X-Request-Id") == "forged" {
		t.Error("a handler names the request")
	}
	if a := x.do(t, "HEAD", readPath, ""); a.StatusCode != http.StatusSeeOther || a.body != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
	x.read = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, web.MaxPage+1)) }
	if a := x.do(t, "GET", readPath, ""); a.StatusCode != http.StatusInternalServerError || !strings.Contains(a.body, `"server_error"`) {
		t.Errorf("a page without an end: %d %.80s", a.StatusCode, a.body)
	}
	x.read = func(http.ResponseWriter, *http.Request) { panic("secret of the machine") }
	if a := x.do(t, "GET", readPath, ""); a.StatusCode != http.StatusInternalServerError || strings.Contains(a.body, "secret") {
		t.Errorf("a panic: %d %s", a.StatusCode, a.body)
	}
}

// RFC 6749, sections 3.1 and 3.2; R25: forms only, each parameter once, and what is refused is
// refused in OAuth's words and not as a problem document. No handler is asked.
func TestFormsOfExchanges(t *testing.T) {
	x := serveExchanges(t)
	x.token = func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the handler is asked: %s", r.URL) }
	x.login, x.read = x.token, x.token
	long := "a=" + strings.Repeat("x", web.MaxForm)
	for name, c := range map[string]struct {
		method, target, body string
		header               []string
		status               int
		code                 string
	}{
		"a parameter twice":         {"POST", tokenPath, "code=1&code=2", nil, 400, "invalid_request"},
		"in the query, too":         {"POST", tokenPath + "?code=1", "code=2", nil, 400, "invalid_request"},
		"twice in the query":        {"GET", readPath + "?a=1&a=2", "", nil, 400, "invalid_request"},
		"escaped otherwise":         {"POST", tokenPath, "code=1&%63ode=2", nil, 400, "invalid_request"},
		"an empty one twice":        {"POST", tokenPath, "a&a", nil, 400, "invalid_request"},
		"a semicolon":               {"POST", tokenPath, "a=1;b=2", nil, 400, "invalid_request"},
		"half an escape":            {"POST", tokenPath, "a=%4", nil, 400, "invalid_request"},
		"not UTF-8":                 {"POST", tokenPath, "a=%ff", nil, 400, "invalid_request"},
		"not UTF-8 in the query":    {"GET", readPath + "?%ff=1", "", nil, 400, "invalid_request"},
		"JSON":                      {"POST", tokenPath, "{}", []string{"Content-Type", "application/json"}, 415, "invalid_request"},
		"two types":                 {"POST", tokenPath, "a=1", []string{"Content-Type", web.FormType, "Content-Type", web.FormType}, 415, "invalid_request"},
		"another charset":           {"POST", tokenPath, "a=1", []string{"Content-Type", web.FormType + "; charset=utf-16"}, 415, "invalid_request"},
		"compressed":                {"POST", tokenPath, "a=1", []string{"Content-Encoding", "gzip"}, 415, "invalid_request"},
		"too long":                  {"POST", tokenPath, long, nil, 413, "invalid_request"},
		"another verb":              {"GET", tokenPath, "", nil, 405, "invalid_request"},
		"PUT":                       {"PUT", tokenPath, "a=1", nil, 405, "invalid_request"},
		"a GET with a body":         {"GET", readPath, "a=1", nil, 400, "invalid_request"},
		"a forged header":           {"POST", tokenPath, "a=1", []string{"X-Gatehouse-Caller", "x"}, 400, "invalid_request"},
		"a hop that is not HTTP's":  {"POST", tokenPath, "a=1", []string{"Connection", "Authorization"}, 400, "invalid_request"},
		"an address that is no URL": {"GET", readPath + "?a=" + strings.Repeat("x", 8000), "", nil, 414, "invalid_request"},
	} {
		a := x.do(t, c.method, c.target, c.body, c.header...)
		if a.StatusCode != c.status || !strings.Contains(a.body, `"error":"`+c.code+`"`) || a.Header.Get("Content-Type") != "application/json" ||
			a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %v %s", name, a.StatusCode, a.Header, a.body)
		}
	}
	if a := x.do(t, "POST", loginPath, "a=1&a=1"); a.StatusCode != 400 || a.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		!strings.Contains(a.body, "<h1>Bad Request</h1>") || !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("a person is told: %d %v %s", a.StatusCode, a.Header, a.body)
	}
	if a := x.do(t, "GET", "/oauth2/nothing", ""); a.StatusCode != 404 || a.reason() != "NO_SUCH_PATH" {
		t.Errorf("no path: %d %s", a.StatusCode, a.body)
	}
}

// A refusal by a handler is one in log, metrics and trail (R66), whatever response it has; the
// client has that response.
func TestRefusedExchanges(t *testing.T) {
	x := serveExchanges(t)
	why := apierr.New(apierr.Unauthenticated, "INVALID_GRANT_OF_TEST", "no")
	x.token = func(w http.ResponseWriter, r *http.Request) {
		web.Refuse(r.Context(), event.Attempt(why, event.Event{Action: "auth.tried", ObjectType: "user", ObjectID: me}))
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
	}
	a := x.do(t, "POST", tokenPath, "password=canary-secret")
	if a.StatusCode != http.StatusBadRequest || a.body != `{"error":"invalid_grant"}` {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	refused := x.trail.Refusals()
	if len(refused) != 1 || refused[0].Event.Reason != "INVALID_GRANT_OF_TEST" || refused[0].Event.ObjectID != me || refused[0].Event.Outcome != event.Failure {
		t.Errorf("the trail has %+v", refused)
	}
	x.login = func(w http.ResponseWriter, r *http.Request) { // a redirect can refuse, too
		web.Refuse(r.Context(), why)
		http.Redirect(w, r, "/sign-in?failed", http.StatusSeeOther)
	}
	if a := x.do(t, "POST", loginPath, "password=canary-secret"); a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != "/sign-in?failed" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	x.read = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	if a := x.do(t, "GET", readPath, ""); a.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for code, n := range map[codes.Code]float64{codes.Unauthenticated: 2, codes.PermissionDenied: 1} {
		wantHandled(t, x.registry, code, n)
	}
	x.log.requests(t, "/gatehouse.auth.v1.OpenIDService/KeySet", 1)
	log := x.log.String()
	for _, line := range []string{`"code":"Unauthenticated"`, `"reason":"INVALID_GRANT_OF_TEST"`, `"code":"PermissionDenied"`, `"reason":"EXCHANGE_REFUSED"`} {
		if !strings.Contains(log, line) {
			t.Errorf("the log has no %s:\n%s", line, log)
		}
	}
	if strings.Contains(log, "canary") { // R74
		t.Errorf("the log tells a secret:\n%s", log)
	}
}

// What is no part of the protocol the door puts into words.
func TestFailedExchanges(t *testing.T) {
	x := serveExchanges(t)
	down := apierr.New(apierr.Unavailable, "X", "not now").WithRetryAfter(7 * time.Second)
	x.token = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "half")
		web.Fail(r.Context(), down)
	}
	x.login = x.token
	a := x.do(t, "POST", tokenPath, "")
	if a.StatusCode != 503 || a.body != `{"error":"temporarily_unavailable","error_description":"not now"}`+"\n" || a.Header.Get("Retry-After") != "7" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
	if a := x.do(t, "POST", loginPath, ""); a.StatusCode != 503 || !strings.Contains(a.body, "<p>not now</p>") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// A service of exchanges answers all of them, and no others.
func TestEveryExchangeHasAHandler(t *testing.T) {
	contracts, none := meshtest.Contract(t), http.NotFoundHandler()
	for name, change := range map[string]func(map[string]http.Handler){
		"has no handler": func(h map[string]http.Handler) { delete(h, "KeySet") },
		"has no method":  func(h map[string]http.Handler) { h["Another"] = none },
	} {
		handlers := everyExchange(none)
		change(handlers)
		if _, err := web.Service(&authv1.OpenIDService_ServiceDesc, contracts, &url.URL{}, handlers); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := web.Service(&authv1.AuthService_ServiceDesc, contracts, &url.URL{}, nil); err == nil || !strings.Contains(err.Error(), "is no web exchange") {
		t.Errorf("a service of JSON: %v", err)
	}
}
