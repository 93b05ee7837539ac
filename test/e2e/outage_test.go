package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// permitted are requests that an administrator is admitted to by Authz alone.
func permitted(of person) map[string]request {
	return map[string]request{
		"list users":         {method: "GET", path: "/api/v1/users?page_size=1"},
		"read a user":        {method: "GET", path: of.path()},
		"change a user":      {method: "PATCH", path: of.path(), body: map[string]string{"display_name": "Mallory"}},
		"read the trail":     {method: "GET", path: "/api/v1/audit/events?page_size=1"},
		"read relationships": {method: "GET", path: "/api/v1/authz/relationships?object=platform:gatehouse"},
	}
}

// Authz that hangs permits nothing, and hinders nobody in what needs no permission (R62, G5).
func TestNothingIsPermittedWhileAuthzHangs(t *testing.T) {
	admin, p, other := administrator(t), signUp(t), signUp(t)
	thaw := frozen(t, "authz")
	defer thaw()
	for name, r := range permitted(other) {
		for who, bearer := range map[string]string{"the administrator": admin.access, "somebody": p.access} {
			r.bearer = bearer
			a, err := send(plat.URL(), r)
			if err != nil {
				t.Fatal(err)
			}
			if a.status != http.StatusServiceUnavailable && (name != "read relationships" || a.status != http.StatusGatewayTimeout) {
				t.Errorf("%s: %s: %d %s, want 503", who, name, a.status, a.raw)
			}
			if name != "read relationships" && (a.body["reason"] != "AUTHZ_UNAVAILABLE" || a.header.Get("Retry-After") == "") {
				t.Errorf("%s: %s: reason %v, Retry-After %q", who, name, a.body["reason"], a.header.Get("Retry-After"))
			}
		}
	}
	for name, r := range map[string]request{
		"read oneself":         {method: "GET", path: p.path()},
		"change oneself":       {method: "PATCH", path: p.path(), body: map[string]string{"display_name": "Eva"}},
		"read one's own trail": {method: "GET", path: "/api/v1/audit/events?actor_id=" + p.id},
		"sign in":              {method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": p.email, "password": password}},
	} {
		if name != "sign in" {
			r.bearer = p.access
		}
		if a, err := send(plat.URL(), r); err != nil || a.status != http.StatusOK {
			t.Errorf("%s: %d %v %s, want 200", name, a.status, errOr(err), a.raw)
		}
	}
	thaw()
	check.Within(t, 30*time.Second, "the administrator is permitted again", func() error {
		a, err := send(plat.URL(), request{method: "GET", path: "/api/v1/users?page_size=1", bearer: admin.access})
		if err != nil || a.status != http.StatusOK {
			return fmt.Errorf("%d %w %s", a.status, errOr(err), a.raw)
		}
		return nil
	})
}

// While Authz dies and comes back, each answer is right or 503.
func TestNothingIsPermittedWhileAuthzIsDead(t *testing.T) {
	admin, p := administrator(t), signUp(t)
	pid := serviceOf(t, "authz").PID
	killHard(t, pid)
	seen := map[int]int{}
	check.Within(t, 30*time.Second, "the administrator is permitted again", func() error {
		list := request{method: "GET", path: "/api/v1/users?page_size=1", bearer: p.access}
		a, err := send(plat.URL(), list)
		if err != nil {
			return err
		}
		if !slices.Contains([]int{http.StatusForbidden, http.StatusServiceUnavailable}, a.status) {
			t.Fatalf("somebody's list of users answers %d %s", a.status, a.raw)
		}
		list.bearer = admin.access
		if a, err = send(plat.URL(), list); err != nil {
			return err
		}
		seen[a.status]++
		if a.status == http.StatusServiceUnavailable {
			return fmt.Errorf("%s", a.raw)
		}
		if a.status != http.StatusOK {
			t.Fatalf("the administrator's list of users answers %d %s", a.status, a.raw)
		}
		if now := serviceOf(t, "authz").PID; now == pid || now == 0 {
			return errors.New("still the dead process")
		}
		return nil
	})
	t.Logf("the administrator was answered %v", seen)
}

// Changes go on while Audit hangs and after it is killed; their events arrive once it is back, each once (G1, G2).
func TestChangesGoOnWithoutAudit(t *testing.T) {
	p := signUp(t)
	thaw := frozen(t, "audit")
	defer thaw()
	var requests []string
	change := func(n int) {
		a := call(t, http.StatusOK, request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": fmt.Sprint("Eve ", n)}})
		requests = append(requests, a.header.Get("X-Request-Id"))
	}
	for n := range 5 {
		change(n)
	}
	killHard(t, serviceOf(t, "audit").PID)
	change(5)
	check.Within(t, 60*time.Second, "the events arrive", func() error {
		found, err := events(p, url.Values{"object_id": {p.id}, "action": {"user.updated"}})
		if err != nil {
			return err
		}
		if len(found) < len(requests) {
			return fmt.Errorf("%d of %d", len(found), len(requests))
		}
		slices.Reverse(found) // newest first
		for i, e := range found {
			if len(found) != len(requests) || e.RequestID != requests[i] {
				t.Fatalf("the events are %+v, want those of the requests %v", found, requests)
			}
		}
		return nil
	})
	check.Within(t, 30*time.Second, "every program is healthy", func() error { return healthy(t) })
}
