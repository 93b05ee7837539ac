package e2e_test

import (
	"fmt"
	"strings"
	"testing"
)

// Every refusal is a problem document that names the field and the rule, and changes nothing.
func TestBadInput(t *testing.T) {
	p := signUp(t)
	before := call(t, 200, request{method: "GET", path: p.path(), bearer: p.access})
	patch := func(body any) request { return request{method: "PATCH", path: p.path(), bearer: p.access, body: body} }
	signUpWith := func(body any) request { return request{method: "POST", path: "/api/v1/auth/sign-up", body: body} }
	cases := []struct {
		name  string
		r     request
		want  int
		names string // what the document must mention
	}{
		{"malformed JSON", patch(`{"display_name": `), 400, ""},
		{"trailing garbage", patch(`{"display_name": "x"} y`), 400, ""},
		{"unknown body field", patch(`{"display_nam": "x"}`), 400, "display_nam"},
		{"wrong type", patch(`{"display_name": 7}`), 400, "display_name"},
		{"read-only field", patch(map[string]string{"email": "x@example.com"}), 400, "email"},
		{"foreign organization", patch(map[string]string{"organization_id": "3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11"}), 400, "organization_id"},
		{"too long", patch(map[string]string{"display_name": strings.Repeat("x", 201)}), 400, "display_name"},
		{"control character", patch(map[string]string{"display_name": "a\nb"}), 400, "display_name"},
		{"no such time zone", patch(map[string]string{"time_zone": "Mars/Olympus"}), 400, "time_zone"},
		{"unknown query parameter", request{method: "GET", path: p.path() + "?colour=red", bearer: p.access}, 400, "colour"},
		{"id that is none", request{method: "GET", path: "/api/v1/users/me", bearer: p.access}, 404, ""},
		{"stale etag", request{method: "PATCH", path: p.path(), bearer: p.access, body: map[string]string{"display_name": "x"},
			header: map[string]string{"If-Match": `"stale"`}}, 412, ""},
		{"oversized body", signUpWith(`{"email": "` + strings.Repeat("x", 2<<20) + `"}`), 413, ""},
		{"short password", signUpWith(map[string]string{"email": newEmail(), "password": "short"}), 400, "password"},
		{"no email", signUpWith(map[string]string{"password": password}), 400, "email"},
		{"form body", request{method: "POST", path: "/api/v1/auth/sign-in", body: "email=a", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 415, ""},
		{"no such route", request{method: "GET", path: "/api/v1/nothing"}, 404, ""},
		{"wrong method", request{method: "PUT", path: "/api/v1/auth/sign-in", body: "{}"}, 405, ""},
		{"machine method over REST", request{method: "POST", path: "/gatehouse.identity.v1.UserDirectoryService/CreateUser", body: "{}"}, 404, ""},
		{"unknown refresh token", request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": "nonsense"}}, 401, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := call(t, c.want, c.r)
			if !strings.Contains(string(a.raw), c.names) {
				t.Errorf("the document does not name %q: %s", c.names, a.raw)
			}
			if a.body["status"] != float64(c.want) {
				t.Errorf("status member %v, want %d", a.body["status"], c.want)
			}
		})
	}
	after := call(t, 200, request{method: "GET", path: p.path(), bearer: p.access})
	if fmt.Sprint(before.body) != fmt.Sprint(after.body) {
		t.Errorf("refused input changed the user:\n%v\n%v", before.body, after.body)
	}
}

// A client cannot set who it is (R51).
func TestForgedHeadersChangeNothing(t *testing.T) {
	one, other := signUp(t), signUp(t)
	for _, header := range []map[string]string{
		{"Grpc-Metadata-Authorization": "Bearer " + other.access},
		{"Grpc-Metadata-X-Gatehouse-Caller": "spiffe://x/svc/auth"},
		{"X-Gatehouse-Caller": "spiffe://x/svc/auth"},
		{"X-User-Id": other.id},
		{"X-Forwarded-For": "10.0.0.1"},
		{"X_Forwarded_For": "10.0.0.1"},
		{"X-Http-Method-Override": "DELETE"},
	} {
		a, err := send(plat.URL(), request{method: "GET", path: other.path(), bearer: one.access, header: header})
		if err != nil {
			t.Fatal(err)
		}
		if a.status != 404 && a.status != 400 {
			t.Errorf("%v: status %d, want 404 as without it, or 400", header, a.status)
		}
	}
	call(t, 200, request{method: "GET", path: other.path(), bearer: other.access})
}
