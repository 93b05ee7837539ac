package app_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse/gatehouse/gateway/internal/gatewaytest"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// A program that calls another one too often is not its users' fault: they are answered 503 and
// when to come back, never the 429 of who asks too often, whichever program was held up. What one
// program uses up of one method is no other program's and no other method's.
func TestTheRateOfAProgramIsNotItsUsers(t *testing.T) {
	const calls = 3
	few := contract.Rate{Burst: calls} // which never come back
	s := gatewaytest.StartRated(t, map[string]contract.Rate{
		"/gatehouse.identity.v1.UserService/GetUser":  few,
		"/gatehouse.audit.v1.AuditService/TailEvents": {PerSecond: 1000, Burst: 1000, Streams: 1},
		"/gatehouse.authz.v1.AuthzService/BatchCheck": few,
	})
	r := startOn(t, s, nil)
	id := r.Users.Add("a@example.com", "A")
	bearer := r.bearer(id)
	r.Grants.Allow(id, "can_read_audit", "platform:gatehouse")
	r.Grants.Allow(id, "can_list_users", "platform:gatehouse")
	me := request{path: "/api/v1/me", bearer: bearer}
	check.Eventually(t, "the gateway to know who is signed out", func() bool { return r.do(me).status != http.StatusServiceUnavailable })

	limited := func(r *running, q request, reason string) {
		t.Helper()
		for n := range calls {
			if a := r.do(q); a.status != http.StatusOK {
				t.Fatalf("%s, call %d: %d %s", q.path, n, a.status, a.body)
			}
		}
		for range 2 {
			a := r.do(q)
			if a.status != http.StatusServiceUnavailable || document(t, a).Reason != reason || a.header.Get("Retry-After") == "" {
				t.Errorf("%s too often: %d %v %s, want %s", q.path, a.status, a.header, a.body, reason)
			}
		}
	}
	read := request{path: "/api/v1/users/" + id, bearer: bearer}
	limited(r, read, "CALLER_RATE_LIMITED")
	if a := r.do(request{method: "PATCH", path: read.path, bearer: bearer, body: `{"display_name":"B"}`}); a.status != http.StatusOK {
		t.Errorf("another method: %d %s", a.status, a.body)
	}
	limited(&running{Services: s, t: t, url: r.Door("identity")}, read, "CALLER_RATE_LIMITED") // which is another caller

	// Identity asks Authz too often; Audit does not.
	limited(r, request{path: "/api/v1/users", bearer: bearer}, "AUTHZ_UNAVAILABLE")
	if a := r.do(request{path: "/api/v1/audit/events", bearer: bearer}); a.status != http.StatusOK {
		t.Errorf("another program's question: %d %s", a.status, a.body)
	}

	first := r.tail(request{path: "?actor_id=" + id, bearer: bearer})
	if first.answer.StatusCode != http.StatusOK {
		t.Fatalf("the first stream: %d", first.answer.StatusCode)
	}
	if p := r.refused(http.StatusServiceUnavailable, request{path: tailPath + "?actor_id=" + id, bearer: bearer}); p.Reason != "CALLER_RATE_LIMITED" {
		t.Errorf("the second stream: %+v", p)
	}
}
