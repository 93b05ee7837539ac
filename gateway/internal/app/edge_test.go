package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	incoming "github.com/gatehouse/gatehouse/internal/request"
)

// R51: what only the platform says is refused by name; what nobody asked for never arrives.
func TestForgedHeaders(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	q := request{path: "/api/v1/users/" + id, bearer: r.bearer(id)}
	for _, name := range []string{
		"Grpc-Metadata-Authorization", "Grpc-Metadata-X-Gatehouse-Caller", "grpc-metadata-x", "Grpc_Metadata_Authorization", "Grpcgateway-Authorization",
		"grpcgateway_authorization", "X-Gatehouse-Caller", "X_Gatehouse_Caller", "X-Gatehouse-Anything", "X-User", "X-User-Id", "x-user-id", "X_User", "X_User_Id",
		"X-User_Id", "X-Tenant", "X-Tenant-Id", "X_Tenant_Id", "X-Organization", "X-Organization-Id", "x_organization_id", "X-Original-Url", "X_Original_Url",
		"X-Rewrite-Url", "X_Rewrite_URL", "X-Http-Method", "X-HTTP-Method-Override", "X_Http_Method_Override", "X-Method-Override", "X_Method_Override",
	} {
		q.header = map[string]string{name: "spiffe://x/ns/default/dc/dc1/svc/auth"}
		p := r.refused(http.StatusBadRequest, q)
		if p.Reason != "HEADER_NOT_ALLOWED" || len(p.Errors) != 1 || !strings.EqualFold(p.Errors[0].Field, name) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	for _, value := range []string{"Authorization", "close, X-Request-Id", "keep-alive,authorization"} {
		q.header = map[string]string{"Connection": value}
		if p := r.refused(http.StatusBadRequest, q); p.Reason != "HEADER_NOT_ALLOWED" || p.Errors[0].Field != "Connection" {
			t.Errorf("Connection: %s: %+v", value, p)
		}
	}
	for name, value := range map[string]string{
		"Cookie": "a=b", "Te": "trailers", "Accept-Encoding": "gzip", "Range": "bytes=0-1", "X-Something": "y", "Via": "1.1 x",
		"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "X-Forwarded-Client-Cert": "URI=spiffe://x/svc/auth",
		"X-Forwarded-Anything": "1", "Forwarded": "for=203.0.113.9", "X-REAL-IP": "203.0.113.9", "X-Username": "x", "X-User-Agent": "x", "X-Tenants": "x", "X-Client-Cert": "x", "Grpc-Trailer-X": "x",
		"Grpc-Timeout": "1n", "If-None-Match": `"v1"`, "Accept": "text/html", "Expect": "", "Upgrade": "h2c", "Connection": "keep-alive, TE",
	} {
		q.header = map[string]string{name: value}
		if a := r.do(q); a.status != http.StatusOK || a.header.Get("Trailer") != "" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s changed the answer: %d %v", name, value, a.status, a.header)
		}
	}
	want := r.do(request{path: q.path, bearer: q.bearer}).body
	for _, accept := range []string{"text/event-stream", "application/x-ndjson"} { // the forms of streams, and of nothing else
		q.header = map[string]string{"Accept": accept}
		if a := r.do(q); a.header.Get("Content-Type") != "application/json" || len(a.body) != len(want) {
			t.Errorf("Accept: %s: %v %s", accept, a.header, a.body)
		}
	}
	r.Users.Hook(func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		for name := range md {
			if strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "grpcgateway-") && name != "grpcgateway-authorization" {
				t.Errorf("the service is told %s: %v", name, md[name])
			}
		}
		return nil
	})
	r.do(request{path: q.path, bearer: q.bearer, header: map[string]string{"X-Forwarded-For": "203.0.113.9", "Origin": "https://x.example"}})
	r.Users.Hook(nil)
	if a := r.do(request{path: q.path, bearer: q.bearer}); len(a.header.Values("Grpc-Metadata-X-Request-Id")) > 0 ||
		strings.Contains(strings.ToLower(headerNames(a.header)), "grpc") {
		t.Errorf("metadata of the service reaches the client: %v", a.header)
	}
}

func headerNames(h http.Header) string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// R93: the id of a request is the platform's own, and behind the gateway too; the services would
// take a well-formed one over.
func TestRequestID(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	for _, sent := range []string{"0123456789abcdef", "a-b_c-d_e", strings.Repeat("x", 64), strings.Repeat("x", 65), "with space", "urn:x:yyyyy"} {
		header := map[string]string{"X-Request-Id": sent}
		if got := r.do(request{path: "/livez", header: header}).header.Get("X-Request-Id"); got == sent || !incoming.ValidID(got) {
			t.Errorf("sent %q, got %q", sent, got)
		}
		var behind string
		r.Users.Hook(func(ctx context.Context) error {
			behind = incoming.ID(ctx)
			return nil
		})
		if got := r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id), header: header}).header.Get("X-Request-Id"); got == sent || got != behind {
			t.Errorf("sent %q, got %q, behind it is %q", sent, got, behind)
		}
	}
}

// pathForms are ways to write paths, with what a GET of each is answered.
func pathForms(id string) map[string]int {
	return map[string]int{
		"//api/v1/users/" + id:                 400,
		"/api//v1/users/" + id:                 400,
		"/api/v1/users//" + id:                 400,
		"/api/./v1/users/" + id:                400,
		"/api/v1/../v1/users/" + id:            400,
		"/api/v1/x/../users/" + id:             400,
		"/api/v1/users/%2e%2e/users/" + id:     400,
		"/api/v1/users/%2E/" + id:              400,
		"/api%2fv1%2fusers/" + id:              400,
		"/api/v1/users%2f" + id:                400,
		"/api/v1/users%5c" + id:                400,
		"/api/v1/users/" + id + "%00":          400,
		"/api/v1/users/" + id + "%0a":          400,
		"/api/v1/users/" + id + "%7f":          400,
		"/api/v1/users/" + id + ";x=y":         400,
		"/api/v1/users/..;x=y/users/" + id:     400,
		"/api/v1/users/" + id + "%3bx=y":       400,
		"/api/v1/users/" + id + "%23x":         400,
		"/api/v1/users/" + id + "%3fx":         400,
		"/api/v1/users/%252e%252e/" + id:       400,
		"/api/v1/users/%ff":                    400,
		"/api/v1/users/%c0%ae":                 400,
		"/api/v1/users/" + id + "/":            404,
		"/api/v1/users/" + id + "/.":           400,
		"/api/v1/users/" + id + ".":            404,
		"/api/v1/users/" + id + "%20":          404,
		"/api/v1/Users/" + id:                  404,
		"/API/V1/USERS/" + id:                  404,
		"/api/v1/users/" + strings.ToUpper(id): 200, // an id has one form
		"/api/v1/users/" + id + ":delete":      404,
		"/api/v1/users":                        403,
		"/api/v1/users/:tail":                  404,
		"/api/v1/users/" + id + ":tail":        404,
		"/api/v1/audit/events:tailor":          404,
		"/api/v1/audit/events:Tail":            404,
		"/api/v1/audit/events:":                404,
		"/api/v1/audit/:tail":                  404,
		"/api/v1/audit/events/:tail":           404,
		"/api/v1/audit/events:tail/":           404,
		"/api/v1/audit/events:tail:tail":       404,
		"/api/v1/audit/events:tail":            403,
		"/api/v1/audit/events%3Atail":          403, // the same path, spelled out
		"/api/v1/users:watch":                  403,
		"/api/v1/users%3Awatch":                403,
		"/api/v1/users:Watch":                  404,
		"/api/v1/users:watch/":                 404,
		"/api/v1/users/:watch":                 404,
		"/api/v1/users/" + id + ":watch":       404,
		"/api/v1/users:import":                 405,
		"/api/v1/users/:import":                404,
		"/api/v1/users/":                       404,
		"/":                                    404,
		"/api/v1/%75sers/" + id:                200, // the same path, spelled out
	}
}

// R56: a path that two programs could read differently is refused; no form reaches a resource that
// the plain path does not.
func TestPathForms(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	bearer := r.bearer(id)
	for path, want := range pathForms(id) {
		raw := exchange(t, r, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+bearer+"\r\nConnection: close\r\n\r\n")
		if raw.status != want {
			t.Errorf("%s: status %d, want %d: %s", path, raw.status, want, raw.body)
		}
	}
	long := exchange(t, r, "GET /"+strings.Repeat("a", 7999-1)+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") // R54: 8,000 octets are accepted
	if long.status != http.StatusNotFound {
		t.Errorf("a URI of 7,999 octets: %d", long.status)
	}
	if longer := exchange(t, r, "GET /"+strings.Repeat("a", 9000)+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); longer.status != http.StatusRequestURITooLong {
		t.Errorf("a URI of 9,001 octets: %d", longer.status)
	}
	if p := r.refused(http.StatusRequestURITooLong, request{path: "/livez?" + strings.Repeat("a", 9000)}); p.Reason != "URI_TOO_LONG" {
		t.Errorf("a query of 9,000 octets: %+v", p)
	}
}

// R27: only listed origins, compared whole.
func TestCORS(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": " https://good.example:443 , https://other.example:8443, "})
	preflight := func(origin, method, headers string) answer {
		return r.do(request{method: "OPTIONS", path: "/api/v1/users/x", header: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}})
	}
	for _, origin := range []string{"https://good.example", "https://other.example:8443"} {
		a := preflight(origin, "PATCH", "authorization,content-type,gatehouse-consistency-token,if-match,last-event-id,x-request-id")
		if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", origin, a.status, a.header)
		}
		if vary := strings.Join(a.header.Values("Vary"), ","); !strings.Contains(vary, "Origin") {
			t.Errorf("%s: Vary %q", origin, vary)
		}
		// A refusal can be read by the page, with what it needs.
		b := r.do(request{path: "/api/v1/users/x", header: map[string]string{"Origin": origin}})
		if b.status != http.StatusUnauthorized || b.header.Get("Access-Control-Allow-Origin") != origin ||
			!strings.Contains(strings.ToLower(b.header.Get("Access-Control-Expose-Headers")), "etag,gatehouse-consistency-token") {
			t.Errorf("%s: %d %v", origin, b.status, b.header)
		}
		// A stream of a page is one too.
		s := r.tail(request{header: map[string]string{"Origin": origin}})
		if s.answer.Header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s: a stream with %v", origin, s.answer.Header)
		}
		s.close()
	}
	for _, origin := range []string{
		"null", "https://evilgood.example", "https://good.example.evil", "http://good.example", "https://good.example:8443", "https://GOOD.example",
		"https://good.example.", "https://good.example/", "https://sub.good.example", "https://good.exampl", "https://good.example:443", "*", "",
		"https://good.example https://evil.example", "https://good.example%00.evil", "file://good.example",
	} {
		a, b := preflight(origin, "GET", ""), r.do(request{path: "/livez", header: map[string]string{"Origin": origin}})
		for _, h := range []http.Header{a.header, b.header} {
			if got := h.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("origin %q is allowed: %q", origin, got)
			}
		}
		if vary := strings.Join(b.header.Values("Vary"), ","); !strings.Contains(vary, "Origin") {
			t.Errorf("origin %q: Vary %q", origin, vary)
		}
	}
	if a := preflight("https://good.example", "GET", "x-user-id"); a.header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("a header that is refused is promised: %v", a.header)
	}
	began := time.Now()
	preflight("https://good.example", "GET", strings.Repeat("authorization,", 1500))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a huge Access-Control-Request-Headers took %s", took)
	}
}

// Without a list no origin is answered, and OPTIONS is a method like another.
func TestNoCORSUnlessConfigured(t *testing.T) {
	r := start(t, nil)
	a := r.do(request{method: "OPTIONS", path: "/livez", header: map[string]string{"Origin": "https://good.example", "Access-Control-Request-Method": "GET"}})
	if a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// R55: 429 with Retry-After, by address, by subject and for credentials; X-Forwarded-For counts only from listed proxies.
func TestRateLimits(t *testing.T) {
	t.Run("address", func(t *testing.T) {
		r := start(t, map[string]string{"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "0.5", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS": "300",
			"GATEHOUSE_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"})
		from := func(address string) answer {
			return r.do(request{path: "/livez", header: map[string]string{"X-Forwarded-For": "203.0.113.9, " + address}})
		}
		limited := exhaust(t, 400, func() answer { return from("203.0.113.1") })
		if p := document(t, limited); p.Reason != "RATE_LIMITED" || limited.header.Get("Retry-After") != "2" {
			t.Errorf("%+v, Retry-After %q", p, limited.header.Get("Retry-After"))
		}
		if a := from("203.0.113.2"); a.status != http.StatusOK {
			t.Errorf("another address: %d", a.status)
		}
		exhaust(t, 400, func() answer { return from("2001:db8::1") })
		if a := from("2001:db8::2"); a.status != http.StatusTooManyRequests {
			t.Errorf("the same IPv6 /64: %d", a.status)
		}
		if a := from("2001:db8:0:1::1"); a.status != http.StatusOK {
			t.Errorf("another IPv6 /64: %d", a.status)
		}
	})
	t.Run("subject", func(t *testing.T) {
		r := start(t, map[string]string{"GATEHOUSE_GATEWAY_RATE_PER_SUBJECT": "0.5", "GATEHOUSE_GATEWAY_BURST_PER_SUBJECT": "100"})
		id, other := r.Users.Add("a@example.com", "A"), r.Users.Add("b@example.com", "B")
		limited := exhaust(t, 200, func() answer { return r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id)}) })
		if limited.header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
		if a := r.do(request{path: "/api/v1/users/" + other, bearer: r.bearer(other)}); a.status != http.StatusOK {
			t.Errorf("another subject: %d", a.status)
		}
		forged := r.bearer(other)
		if a := r.do(request{path: "/api/v1/users/" + id, bearer: forged[:len(forged)-4] + "AAAA"}); a.status != http.StatusUnauthorized {
			t.Errorf("a forged token takes from the subject's budget: %d", a.status)
		}
	})
	t.Run("credentials", func(t *testing.T) {
		r := start(t, map[string]string{"GATEHOUSE_GATEWAY_RATE_CREDENTIALS": "0.5", "GATEHOUSE_GATEWAY_BURST_CREDENTIALS": "50"})
		n := 0
		exhaust(t, 60, func() answer {
			n++ // a stranger is who it is, whatever it says
			return r.do(request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"x","password":"x"}`,
				header: map[string]string{"X-Forwarded-For": fmt.Sprintf("203.0.113.%d", n)}})
		})
		if a := r.do(request{path: "/livez"}); a.status != http.StatusOK {
			t.Errorf("other requests: %d", a.status)
		}
		// The budget is of the route: spelling its path in another way, or asking badly, finds no other one.
		for _, path := range []string{"sign-in", "sign%2Din", "%73ign-in", "sign-in?x=1"} {
			if a := r.do(request{method: "POST", path: "/api/v1/auth/" + path, body: `{`}); a.status != http.StatusTooManyRequests {
				t.Errorf("%s: %d, although sign-in is exhausted", path, a.status)
			}
		}
		// Each route has a budget of its own: who is out of one can still use the others.
		for _, path := range []string{"refresh", "sign-up", "bootstrap"} {
			if a := r.do(request{method: "POST", path: "/api/v1/auth/" + path, body: `{}`}); a.status == http.StatusTooManyRequests {
				t.Errorf("%s shares the budget of sign-in", path)
			}
		}
		exhaust(t, 60, func() answer { return r.do(request{method: "POST", path: "/api/v1/auth/bootstrap", body: `{}`}) })
	})
}

// exhaust repeats a request until it is limited, at most so many times.
func exhaust(t *testing.T, most int, do func() answer) answer {
	t.Helper()
	for range most {
		if a := do(); a.status == http.StatusTooManyRequests {
			return a
		}
	}
	t.Fatalf("%d requests were not limited", most)
	return answer{}
}
