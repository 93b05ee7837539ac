package app_test

import (
	"net/http"
	"strings"
	"testing"
)

const page = "https://app.example.com"

// preflight is a browser's question whether a page may send these headers.
func (r *running) preflight(origin, method, headers string) answer {
	r.t.Helper()
	return r.do(request{method: "OPTIONS", path: "/api/v1/users/x", header: map[string]string{
		"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}})
}

// R27: a page may send what the gateway takes, tracing headers among it, and nothing that is
// refused.
func TestPreflightOfWhatIsTaken(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": page})
	taken := "accept,authorization,content-encoding,content-type,gatehouse-consistency-token,if-match,last-event-id,traceparent,tracestate,user-agent,x-request-id"
	for name := range strings.SplitSeq(taken, ",") {
		if a := r.preflight(page, "PATCH", name); a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Headers") != name {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
	}
	if a := r.preflight(page, "PATCH", taken); a.status != http.StatusNoContent {
		t.Errorf("all together: %d %v", a.status, a.header)
	}
	for _, name := range []string{"x-user-id", "x-gatehouse-caller", "grpc-metadata-x", "x-http-method-override", "cookie", "x-something"} {
		if a := r.preflight(page, "PATCH", name); a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Headers") != "" {
			t.Errorf("%s is promised: %d %v", name, a.status, a.header)
		}
	}
}

// R91: a preflight costs what a request costs. The refusal can be read by the page that may call,
// as that of a request can.
func TestPreflightsAreLimited(t *testing.T) {
	r := start(t, map[string]string{"GATEHOUSE_GATEWAY_CORS_ORIGINS": page,
		"GATEHOUSE_GATEWAY_RATE_PER_ADDRESS": "0.5", "GATEHOUSE_GATEWAY_BURST_PER_ADDRESS": "1000"})
	limited := exhaust(t, 1500, func() answer { return r.preflight(page, "PATCH", "authorization") })
	asked := r.do(request{path: "/livez", header: map[string]string{"Origin": page}})
	for name, a := range map[string]answer{"preflight": limited, "request": asked} {
		if p := document(t, a); a.status != http.StatusTooManyRequests || p.Reason != "RATE_LIMITED" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %+v %v", name, a.status, p, a.header)
		}
		exposed := strings.ToLower(a.header.Get("Access-Control-Expose-Headers"))
		if a.header.Get("Access-Control-Allow-Origin") != page || !strings.Contains(exposed, "retry-after") ||
			!strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") || a.header.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: the page cannot read the refusal: %v", name, a.header)
		}
	}
	if a := r.preflight("https://evil.example", "PATCH", ""); a.status != http.StatusTooManyRequests || a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page: %d %v", a.status, a.header)
	}
	if a := exchange(t, r, "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); a.status != http.StatusTooManyRequests {
		t.Errorf("OPTIONS *: %d", a.status)
	}
}

// Every response has the security headers, the one to the server as a whole too.
func TestOptionsOfTheServer(t *testing.T) {
	for name, env := range map[string]map[string]string{"no CORS": nil, "CORS": {"GATEHOUSE_GATEWAY_CORS_ORIGINS": page}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, env)
			_, reader := r.expecting(t, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
			for _, of := range []string{"OPTIONS *", "GET /livez, which follows"} {
				resp, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				for _, header := range []string{"X-Content-Type-Options", "Content-Security-Policy", "Strict-Transport-Security", "Referrer-Policy", "X-Request-Id"} {
					if resp.Header.Get(header) == "" {
						t.Errorf("%s: %d without %s", of, resp.StatusCode, header)
					}
				}
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %d", of, resp.StatusCode)
				}
			}
			if a := exchange(t, r, "GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); a.status != http.StatusBadRequest {
				t.Errorf("GET *: %d", a.status)
			}
		})
	}
}

// JSON in UTF-8 is taken however its charset is written.
func TestCharsetOfJSON(t *testing.T) {
	r := start(t, nil)
	for kind, want := range map[string]int{
		"application/json": 401, "application/json; charset=utf-8": 401, "application/json;charset=UTF-8": 401, `application/json; charset="utf-8"`: 401,
		"application/json; charset=utf8": 401, "Application/JSON; Charset=UTF8": 401, `application/json; charset="UTF8"`: 401, "application/json; charset=utf-8;": 401,
		"application/json; charset=utf-16": 415, "application/json; charset=latin1": 415, "application/json; charset=": 415, "application/json; charset=utf-8; charset=utf-16": 415,
	} {
		a := r.do(request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"a@example.com","password":"x"}`, header: map[string]string{"Content-Type": kind}})
		if a.status != want {
			t.Errorf("%s: %d, want %d: %s", kind, a.status, want, a.body)
		}
	}
}
