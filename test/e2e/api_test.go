package e2e_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

const password = "correct horse battery staple"

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

// request describes one call to the gateway.
type request struct {
	method, path string
	body         any // nil, string (sent as it is) or a value for JSON
	bearer       string
	header       map[string]string
}

var httpClient = &http.Client{Timeout: 40 * time.Second}

// send performs the request; an error means that no answer came.
func send(base string, r request) (answer, error) {
	var body io.Reader
	switch b := r.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(r.method, base+r.path, body)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: raw}
	if len(raw) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			return a, fmt.Errorf("answer is not a JSON object: %w: %s", err, raw)
		}
	}
	return a, nil
}

// call is send against the shared platform that must answer with the status.
func call(t testing.TB, want int, r request) answer {
	t.Helper()
	a, err := send(plat.URL(), r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	if a.status != want {
		t.Fatalf("%s %s: status %d, want %d\n%s", r.method, r.path, a.status, want, a.raw)
	}
	if want >= 400 && a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: a refusal of type %q, want application/problem+json", r.method, r.path, a.header.Get("Content-Type"))
	}
	return a
}

// person is a signed-up user with a session.
type person struct{ id, organization, email, access, refresh string }

func newEmail() string {
	raw := make([]byte, 8)
	rand.Read(raw)
	return "e2e-" + hex.EncodeToString(raw) + "@example.com"
}

func signUp(t testing.TB) person {
	t.Helper()
	p := person{email: newEmail()}
	a := call(t, http.StatusCreated, request{method: "POST", path: "/api/v1/auth/sign-up",
		body: map[string]string{"email": p.email, "password": password, "display_name": "Eve"}})
	user, ok := a.body["user"].(map[string]any)
	if !ok {
		t.Fatalf("sign-up answers no user: %s", a.raw)
	}
	p.id, _ = user["id"].(string)
	p.organization, _ = user["organization_id"].(string)
	return p.signIn(t)
}

func (p person) signIn(t testing.TB) person {
	t.Helper()
	a := call(t, http.StatusOK, request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": p.email, "password": password}})
	p.access, _ = a.body["access_token"].(string)
	p.refresh, _ = a.body["refresh_token"].(string)
	return p
}

// A sign-up answers the user as a read of it does.
func TestSignUpAnswersTheUser(t *testing.T) {
	p := person{email: newEmail()}
	made := call(t, http.StatusCreated, request{method: "POST", path: "/api/v1/auth/sign-up",
		body: map[string]string{"email": p.email, "password": password, "display_name": "Eve"}})
	answered, _ := made.body["user"].(map[string]any)
	p.id, _ = answered["id"].(string)
	p = p.signIn(t)
	read := call(t, http.StatusOK, request{method: "GET", path: p.path(), bearer: p.access})
	if !reflect.DeepEqual(answered, read.body) {
		t.Errorf("a sign-up answers %v, and a read %v", answered, read.body)
	}
}

func (p person) path() string { return "/api/v1/users/" + p.id }
