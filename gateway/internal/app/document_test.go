package app_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/gatehouse/gatehouse/gateway/internal/openapi"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// /openapi.json describes what really goes over the wire: each request and its response are checked
// against the served document.
func TestAnswersMatchTheDocument(t *testing.T) {
	r := start(t, nil)
	v := r.validator(t)
	r.Audit.Add(event("1"))
	id := r.Users.Add("a@example.com", "A")
	user, bearer := "/api/v1/users/"+id, r.bearer(id)
	credentials := `{"email":"b@example.com","password":"` + password + `"}`
	for _, c := range []struct {
		request
		status int
	}{
		{request{method: "POST", path: "/api/v1/auth/sign-up", body: credentials}, 201},
		{request{method: "POST", path: "/api/v1/auth/sign-up", body: credentials}, 409},
		{request{method: "POST", path: "/api/v1/auth/sign-in", body: credentials}, 200},
		{request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"b@example.com","password":"wrong"}`}, 401},
		{request{path: user, bearer: bearer}, 200},
		{request{path: "/api/v1/users/3b1f1d5e-0d2f-4c44-9a40-7d0a3c5f9a11", bearer: bearer}, 404},
		{request{method: "PATCH", path: user, bearer: bearer, body: `{"locale":"de-CH"}`, header: map[string]string{"If-Match": `"v1"`}}, 200},
		{request{method: "PATCH", path: user, bearer: bearer, body: `{"locale":"fr"}`, header: map[string]string{"If-Match": `"v1"`}}, 412},
		{request{path: "/api/v1/me", bearer: bearer}, 200},
		{request{method: "DELETE", path: user, bearer: bearer}, 204},
		{request{method: "POST", path: usersPath, bearer: r.keeper(), body: `{"email":"c@example.com","display_name":"C"}`}, 201},
		{request{method: "POST", path: usersPath, bearer: bearer, body: `{"email":"c@example.com"}`}, 403},
		{request{path: usersPath + "?page_size=1", bearer: r.keeper()}, 200},
		{request{path: usersPath + "?filter=email+%3D+%22c@example.com%22", bearer: r.keeper()}, 200},
		{request{path: "/api/v1/audit/events?page_size=10&start_time=2026-01-02T03:04:05Z", bearer: r.auditor()}, 200},
		{request{path: "/api/v1/audit/events", bearer: bearer}, 403},
		{request{method: "POST", path: "/api/v1/authz/relationships", bearer: r.administrator(), body: `{"writes":[` + relationship + `]}`}, 200},
		{request{method: "POST", path: "/api/v1/authz/check", bearer: r.administrator(), body: relationship}, 200},
		{request{path: "/api/v1/authz/relationships?page_size=5", bearer: r.administrator()}, 200},
		{request{method: "POST", path: "/api/v1/auth/sign-out", bearer: bearer}, 204},
	} {
		sent, received := r.exchanged(c.request)
		if received.StatusCode != c.status {
			t.Errorf("%s %s: status %d, want %d", c.method, c.path, received.StatusCode, c.status)
		}
		if c.status >= http.StatusBadRequest {
			r.refused(c.status, c.request)
		}
		if ok, problems := v.ValidateHttpRequest(sent); !ok {
			t.Errorf("%s %s: the document refuses the request: %v", c.method, c.path, problems[0])
		}
		if ok, problems := v.ValidateHttpResponse(sent, received); !ok {
			t.Errorf("%s %s %d: the document refuses the answer: %v", c.method, c.path, c.status, problems[0])
		}
	}
	// The document refuses what the gateway refuses.
	for _, q := range []request{
		{method: "PATCH", path: user, bearer: bearer, body: `{"displayName":"x"}`},
		{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"a","password":"b","admin":true}`},
		{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email":"a"}`},
		{method: "POST", path: usersPath, bearer: r.keeper(), body: `{"email":"d@example.com","id":"1"}`},
		{path: usersPath + "?page_size=1001", bearer: r.keeper()},
		{path: user},
	} {
		sent, _ := r.exchanged(q)
		if ok, _ := v.ValidateHttpRequest(sent); ok {
			t.Errorf("%s %s %s: the document admits it", q.method, q.path, q.body)
		}
	}
}

func (r *running) validator(t *testing.T) validator.Validator {
	t.Helper()
	document, err := libopenapi.NewDocument([]byte(r.do(request{path: "/openapi.json"}).body))
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	for _, err := range errs {
		t.Fatal(err)
	}
	t.Cleanup(v.Release)
	return v
}

// exchanged performs the request and returns it and its response, both to be read again.
func (r *running) exchanged(q request) (*http.Request, *http.Response) {
	r.t.Helper()
	a := r.do(q)
	if q.method == "" {
		q.method = http.MethodGet
	}
	sent, err := http.NewRequest(q.method, r.url+q.path, strings.NewReader(q.body))
	if err != nil {
		r.t.Fatal(err)
	}
	if q.body != "" {
		sent.Header.Set("Content-Type", "application/json")
	}
	if q.bearer != "" {
		sent.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	for name, value := range q.header {
		sent.Header.Set(name, value)
	}
	return sent, &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: sent}
}

// listed fails the test where a refusal of an operation, but for what any may answer with, has a
// reason that the document does not list.
func (r *running) listed(q request, a answer) {
	r.t.Helper()
	type refusal struct {
		Ref     string   `json:"$ref"`
		Reasons []string `json:"x-reasons"`
	}
	var d struct {
		Paths      map[string]map[string]struct{ Responses map[string]refusal }
		Components struct{ Responses map[string]refusal }
	}
	served, err := openapi.Build(openapi.Source{Files: openapi.Generated(), Contract: meshtest.Contract(r.t)})
	check.NoError(r.t, err)
	check.NoError(r.t, json.Unmarshal(served, &d))
	path, _, _ := strings.Cut(q.path, "?")
	for template, item := range d.Paths {
		operation, known := item[strings.ToLower(cmp.Or(q.method, http.MethodGet))]
		if form := regexp.MustCompile(`\\\{[^}]*\}`).ReplaceAllString(regexp.QuoteMeta(template), "[^/:]+"); !known || q.method != strings.ToUpper(q.method) || !regexp.MustCompile("^"+form+"$").MatchString(path) {
			continue
		}
		given := operation.Responses[strconv.Itoa(a.status)]
		if given.Ref != "" {
			given = d.Components.Responses[given.Ref[strings.LastIndex(given.Ref, "/")+1:]]
		}
		if reason := document(r.t, a).Reason; a.status < http.StatusInternalServerError && !slices.Contains(given.Reasons, reason) {
			r.t.Errorf("%s %s is refused with %d %s, and the document lists %v", q.method, q.path, a.status, reason, given.Reasons)
		}
	}
}
