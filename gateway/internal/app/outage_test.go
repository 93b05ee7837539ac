package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/gateway/internal/gatewaytest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// R62: without keys nothing is admitted, and the gateway says that it is not ready; it heals by itself.
func TestKeysNeverLoaded(t *testing.T) {
	s := gatewaytest.Start(t, nil)
	s.StopAuth()
	r := startOn(t, s, nil)
	id := r.Users.Add("a@example.com", "A")
	check.Eventually(t, "the listener", func() bool { return r.do(request{path: "/livez"}).status == http.StatusOK })
	for path, reason := range map[string]string{
		"/readyz": "NOT_READY", "/.well-known/jwks.json": "KEYS_UNAVAILABLE", "/api/v1/users/" + id: "KEYS_UNAVAILABLE",
	} {
		a := r.do(request{path: path, bearer: r.bearer(id)})
		if p := document(t, a); a.status != http.StatusServiceUnavailable || p.Reason != reason || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s, Retry-After %q", path, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
	if r.Users.Calls() != 0 {
		t.Error("a request got through without keys")
	}
	s.StartAuth()
	check.Eventually(t, "the gateway to be ready", func() bool { return r.do(request{path: "/readyz"}).status == http.StatusOK })
	check.Eventually(t, "requests to be admitted", func() bool {
		return r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id)}).status == http.StatusOK
	})
}

// A service that is down is that request's 503; the rest goes on, and nothing of the machinery is told.
func TestServiceDown(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	q := request{path: "/api/v1/users/" + id, bearer: r.bearer(id)}
	r.StopIdentity()
	a := r.do(q)
	if p := document(t, a); a.status != http.StatusServiceUnavailable || p.Reason != "UPSTREAM_UNAVAILABLE" || a.header.Get("Retry-After") == "" ||
		strings.Contains(a.body, "upstream\"") || strings.Contains(a.body, "healthy") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := r.do(request{path: "/readyz"}); a.status != http.StatusOK {
		t.Errorf("readyz: %d", a.status)
	}
	r.StartIdentity()
	check.Eventually(t, "Identity to be back", func() bool { return r.do(q).status == http.StatusOK })
}

// R54: the contract's deadline holds whatever the client says, and is a 504.
func TestDeadline(t *testing.T) {
	r := start(t, nil)
	id := r.Users.Add("a@example.com", "A")
	var left time.Duration
	r.Users.Hook(func(ctx context.Context) error {
		until, ok := ctx.Deadline()
		if !ok {
			t.Error("the call has no deadline")
		}
		left = time.Until(until)
		return context.DeadlineExceeded
	})
	for _, header := range []map[string]string{nil, {"Grpc-Timeout": "10H"}, {"Grpc-Timeout": "1n"}} {
		a := r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id), header: header})
		if a.status != http.StatusGatewayTimeout || document(t, a).Reason != "DEADLINE_EXCEEDED" {
			t.Errorf("%v: %d %s", header, a.status, a.body)
		}
		if left < 8*time.Second || left > 10*time.Second {
			t.Errorf("%v: %s left of the contract's 10 s", header, left)
		}
	}
}

// A request that is still running when the program stops is answered, and new ones see NOT_READY meanwhile.
func TestDrain(t *testing.T) {
	s := gatewaytest.Start(t, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	var status int
	done := make(chan struct{})
	t.Run("life", func(t *testing.T) {
		t.Cleanup(func() { <-done }) // after the stop, which is cleaned up first
		r := startOn(t, s, nil)
		check.Eventually(t, "the gateway to be ready", func() bool { return r.do(request{path: "/readyz"}).status == http.StatusOK })
		id := r.Users.Add("a@example.com", "A")
		check.Eventually(t, "the feed", func() bool {
			return r.do(request{path: "/api/v1/users/" + id, bearer: r.bearer(id)}).status == http.StatusOK
		})
		r.Users.Hook(func(context.Context) error { close(entered); <-leave; return nil })
		compact, url := r.bearer(id), r.url
		go func() {
			defer close(done)
			q, err := http.NewRequest(http.MethodGet, url+"/api/v1/users/"+id, nil)
			if err != nil {
				return
			}
			q.Header.Set("Authorization", "Bearer "+compact)
			if resp, err := http.DefaultClient.Do(q); err == nil {
				status = resp.StatusCode
				_ = resp.Body.Close()
			}
		}()
		<-entered
		time.AfterFunc(100*time.Millisecond, func() { close(leave) }) // while the stop of this subtest waits for the request
	})
	if status != http.StatusOK {
		t.Errorf("the request in flight was answered with %d", status)
	}
}
