package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// doors are the services' own, by what their routes begin with; the first is asked for what no
// service has.
func doors(r *running) func(path string) *running {
	identity := r.Door("identity")
	urls := map[string]string{
		"/api/v1/auth/": r.Door("auth"), "/api/v1/authz/": r.Door("authz"), "/api/v1/audit/": r.Door("audit"),
	}
	return func(path string) *running {
		url := identity
		for prefix, other := range urls {
			if strings.HasPrefix(path, prefix) {
				url = other
			}
		}
		return &running{Services: r.Services, t: r.t, url: url}
	}
}

// patient performs a request that the door's rate of credentials may hold up: it begins with a
// tenth of its burst.
func (r *running) patient(t *testing.T, q request) (a answer) {
	t.Helper()
	check.Eventually(t, "a free place", func() bool {
		a = r.do(q)
		return a.status != http.StatusTooManyRequests
	})
	return a
}

// A request that is answered at the gateway is answered in the same way at the service's own door:
// same status, same reason, same fields.
func TestServicesAnswerAsTheGatewayDoes(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	bearer, door := r.bearer(id), doors(r)
	user := "/api/v1/users/" + id
	answered := map[string]request{
		"oneself":           {path: user, bearer: bearer},
		"head":              {method: "HEAD", path: user, bearer: bearer},
		"anonymous":         {path: user},
		"a bad token":       {path: user, bearer: "nonsense"},
		"somebody else":     {path: "/api/v1/users/22222222-2222-4222-8222-222222222222", bearer: bearer},
		"invalid field":     {method: "PATCH", path: user, bearer: bearer, body: `{"locale":"nonsense!"}`},
		"wrong password":    {method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"a@example.com","password":"wrong"}`},
		"sign-up":           {method: "POST", path: "/api/v1/auth/sign-up", body: `{}`},
		"no relationships":  {path: "/api/v1/authz/relationships", bearer: bearer},
		"no trail":          {path: "/api/v1/audit/events", bearer: bearer},
		"no such parameter": {path: "/api/v1/audit/events?x=1", bearer: bearer},
	}
	for name, c := range badInputs(id, bearer) {
		answered[name] = c.request
	}
	for name, q := range answered {
		t.Run(name, func(t *testing.T) {
			there, here := r.do(q), door(q.path).patient(t, q)
			if here.status != there.status || here.header.Get("ETag") != there.header.Get("ETag") || here.header.Get("Allow") != there.header.Get("Allow") {
				t.Fatalf("the service answers %d %v %s, the gateway %d %v %s", here.status, here.header, here.body, there.status, there.header, there.body)
			}
			if there.status < http.StatusBadRequest || q.method == "HEAD" {
				return
			}
			mine, theirs := document(t, here), document(t, there)
			mine.Instance, theirs.Instance = "", ""
			if !sameProblem(mine, theirs) {
				t.Errorf("the service says %+v, the gateway %+v", mine, theirs)
			}
		})
	}
}

func sameProblem(a, b problem) bool {
	if a.Type != b.Type || a.Status != b.Status || a.Reason != b.Reason || a.Detail != b.Detail || len(a.Errors) != len(b.Errors) {
		return false
	}
	for i := range a.Errors {
		if a.Errors[i] != b.Errors[i] {
			return false
		}
	}
	return true
}
