package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// What the REST client of the first release does, one step after the other.
func TestUserLifeCycle(t *testing.T) {
	p := signUp(t)

	a := call(t, 200, request{method: "GET", path: p.path(), bearer: p.access})
	etag := a.header.Get("ETag")
	if a.body["id"] != p.id || a.body["display_name"] != "Eve" || a.body["email"] != p.email || etag == "" {
		t.Fatalf("GET answers %s with ETag %q", a.raw, etag)
	}

	changed := call(t, 200, request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": "Eva"},
		header: map[string]string{"If-Match": etag}})
	if changed.body["display_name"] != "Eva" || changed.header.Get("ETag") == etag {
		t.Fatalf("PATCH answers %s with ETag %q", changed.raw, changed.header.Get("ETag"))
	}
	call(t, 412, request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": "Ewa"},
		header: map[string]string{"If-Match": etag}})
	if a := call(t, 200, request{method: "GET", path: p.path(), bearer: p.access}); a.body["display_name"] != "Eva" {
		t.Errorf("a refused PATCH changed the user: %s", a.raw)
	}

	call(t, 204, request{method: "DELETE", path: p.path(), bearer: p.access})
	refused(t, "the token of a deleted user", func() (answer, error) {
		return send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
	})
	call(t, 401, request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": p.email, "password": password}})
	call(t, 401, request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": p.refresh}})

	// The address is free again.
	call(t, 201, request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": p.email, "password": password}})
}

func TestForeignUserAnswersLikeUnknown(t *testing.T) { // R52
	one, other := signUp(t), signUp(t)
	unknown := "/api/v1/users/3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11"
	for _, r := range []request{{method: "GET"}, {method: "DELETE"}, {method: "PATCH", body: map[string]string{"display_name": "x"}}} {
		r.bearer = one.access
		r.path = other.path()
		foreign := call(t, 404, r)
		r.path = unknown
		missing := call(t, 404, r)
		for _, a := range []answer{foreign, missing} {
			delete(a.body, "instance")
		}
		if fmt.Sprint(foreign.body) != fmt.Sprint(missing.body) {
			t.Errorf("%s: a foreign id answers\n%v, an unknown one\n%v", r.method, foreign.body, missing.body)
		}
	}
	if a := call(t, 200, request{method: "GET", path: other.path(), bearer: other.access}); a.body["display_name"] != "Eve" {
		t.Errorf("the other user changed: %s", a.raw)
	}
}

func TestTakenAddress(t *testing.T) {
	p := signUp(t)
	a := call(t, 409, request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": p.email, "password": password + "!"}})
	if a.body["reason"] != "EMAIL_TAKEN" {
		t.Errorf("reason %v, want EMAIL_TAKEN", a.body["reason"])
	}
}

func TestSignInRefusalsAreAlike(t *testing.T) { // R10
	p := signUp(t)
	wrong := call(t, 401, request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": p.email, "password": "not the right one at all"}})
	unknown := call(t, 401, request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": newEmail(), "password": password}})
	for _, a := range []answer{wrong, unknown} {
		delete(a.body, "instance")
	}
	if fmt.Sprint(wrong.body) != fmt.Sprint(unknown.body) {
		t.Errorf("a wrong password answers\n%v, an unknown address\n%v", wrong.body, unknown.body)
	}
}

func TestSignOut(t *testing.T) { // R22
	p := signUp(t)
	call(t, 204, request{method: "POST", path: "/api/v1/auth/sign-out", bearer: p.access})
	call(t, 401, request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": p.refresh}})
	refused(t, "a signed-out token", func() (answer, error) {
		return send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
	})
}

func TestRefreshRotates(t *testing.T) { // R33
	p := signUp(t)
	a := call(t, 200, request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": p.refresh}})
	next, _ := a.body["refresh_token"].(string)
	call(t, 200, request{method: "GET", path: p.path(), bearer: a.body["access_token"].(string)})
	call(t, 401, request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": p.refresh}})
	call(t, 401, request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": next}})
	refused(t, "the access token of a replayed family", func() (answer, error) {
		return send(plat.URL(), request{method: "GET", path: p.path(), bearer: p.access})
	})
}

func TestParallelRefreshLeavesAtMostOneFamily(t *testing.T) { // R33
	p := signUp(t)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next []string
	)
	for range 20 {
		wg.Go(func() {
			a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": p.refresh}})
			if err == nil && a.status == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				next = append(next, a.body["refresh_token"].(string))
			}
		})
	}
	wg.Wait()
	live := 0
	for _, token := range next {
		if a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": token}}); err == nil && a.status == 200 {
			live++
		}
	}
	if live > 1 {
		t.Errorf("%d families live after 20 parallel refreshes of one token, want at most 1", live)
	}
}

// refused waits until the call answers 401: revocations reach every program within 5 s.
func refused(t testing.TB, what string, do func() (answer, error)) {
	t.Helper()
	check.Within(t, 5*time.Second, what+" is refused", func() error {
		a, err := do()
		if err != nil {
			return err
		}
		if a.status != http.StatusUnauthorized {
			return fmt.Errorf("status %d", a.status)
		}
		return nil
	})
}
