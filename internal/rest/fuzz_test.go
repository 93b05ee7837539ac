package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	routesof "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/routes"
)

// updateUser is the shape of PATCH /api/v1/users/{id}.
func updateUser(t testing.TB) shape {
	t.Helper()
	c := meshtest.Contract(t)
	m, ok := c.Method(identityv1.UserService_UpdateUser_FullMethodName)
	if !ok {
		t.Fatal("no UpdateUser in the contract")
	}
	s, err := shapeOf(m)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// FuzzIfMatch: an etag that is let through is the one that was sent, arrives alone and unchanged, and cannot become another parameter.
func FuzzIfMatch(f *testing.F) {
	for _, seed := range []string{`"v1"`, `*`, `W/"v1"`, `"a", "b"`, `"`, `""`, `"a&etag=b"`, `"a b"`, "\"a\x80\"", `"%22"`, ``, ` "v1"	`} {
		f.Add(seed)
	}
	s := updateUser(f)
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("PATCH", "/api/v1/users/x?update_mask=locale", nil)
		r.Header["If-Match"] = []string{value}
		if err := s.applyPrecondition(r); err != nil {
			if len(err.Fields) != 1 || err.Fields[0].Path != ifMatch {
				t.Errorf("%q: the refusal names %v", value, err.Fields)
			}
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			t.Fatalf("%q makes a bad query: %v", value, err)
		}
		trimmed := strings.Trim(value, " \t")
		if trimmed == anyEtag {
			if query.Has(etagField) {
				t.Errorf("* became %v", query)
			}
			return
		}
		if got := query[etagField]; len(got) != 1 || `"`+got[0]+`"` != trimmed || query.Get("update_mask") != "locale" || len(query) != 2 {
			t.Errorf("%q became %v", value, query)
		}
	})
}

// FuzzBody: what is let through decodes, uses proto names only, and what is refused says why.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"email":"a","password":"b"}`, `{"email":"a","email":"b"}`, `{"displayName":"x"}`, `{"email":{}}`, `{"email":1}`, `[]`, `null`, `{"email":null}`,
		`{"x":1}`, `{}{}`, `{"email":"\ud800"}`, `{"a":{"b":[{"c":1}]}}`, "\xff", ``, `{"email":"a",}`, strings.Repeat(`{"email":`, 50),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, decoded authv1.SignUpRequest
		err := decodeInto(&got, body)
		failure := protojson.Unmarshal(body, &decoded)
		switch {
		case err == nil && (failure != nil || !proto.Equal(&got, &decoded)):
			t.Errorf("%q is let through and does not decode: %v", body, failure)
		case err != nil && (len(err.Fields) != 1 || err.Fields[0].Rule == "" || err.Reason == ""):
			t.Errorf("%q is refused without a rule: %+v", body, err)
		}
	})
}

// FuzzQuery: nothing panics, and what is let through names known parameters only.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "update_mask=a", "update_mask=a&update_mask=b", "x=1", "etag=1", "%zz", "a;b", "update_mask[]=1", "update_mask[x]=1", "user.id=1", "=", "&"} {
		f.Add(seed)
	}
	s := updateUser(f)
	f.Fuzz(func(t *testing.T, raw string) {
		if s.checkQuery(raw) != nil {
			return
		}
		query, err := url.ParseQuery(raw)
		if err != nil {
			t.Fatalf("%q is let through: %v", raw, err)
		}
		for name := range query {
			if name != "update_mask" {
				t.Errorf("%q lets %q through", raw, name)
			}
		}
	})
}

// FuzzForm: what is let through reads in one way, and says everything once but resource (RFC 6749,
// section 3.1; RFC 8707).
func FuzzForm(f *testing.F) {
	for _, seed := range [][2]string{
		{"", "grant_type=authorization_code&code=a"}, {"a=1", "a=2"}, {"resource=a&resource=b", "resource=c"}, {"%61=1&a=2", ""}, {"a;b", ""}, {"", "a=%ff"}, {"", "a=%"}, {"&&", "=&="},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		if checkParameters(query, []byte(body)) != nil {
			return
		}
		seen := map[string]int{}
		for _, text := range []string{query, body} {
			values, err := url.ParseQuery(text)
			if err != nil {
				t.Fatalf("%q is let through: %v", text, err)
			}
			for name, all := range values {
				seen[name] += len(all)
				if seen[name] > 1 && name != "resource" || !utf8.ValidString(name+strings.Join(all, "")) {
					t.Errorf("%q and %q are let through with %q", query, body, name)
				}
			}
		}
	})
}

// all registers every service with a route, of which none is reached.
func all(c *contract.Contract) []Register {
	registers := []Register{Exchanges(c.Methods(), nil)}
	for _, register := range routesof.Handlers() {
		registers = append(registers, func(ctx context.Context, mux *runtime.ServeMux) error { return register(ctx, mux, nil) })
	}
	return registers
}

// The mux leads every method's path to the route of that method; every verb of a path is offered.
func TestTable(t *testing.T) {
	c := meshtest.Contract(t)
	table, err := NewHandler(testForm(), c.Methods(), map[string]http.Handler{"/livez": http.NotFoundHandler()}, time.Now, all(c)...)
	if err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	for _, m := range c.Methods() {
		if m.Route == nil {
			continue
		}
		route, _, err := table.find(httptest.NewRequest(m.Route.Verb, variable.ReplaceAllString(m.Route.Path, "x"), nil))
		if err != nil || route.Method != m || route.serve == nil {
			t.Errorf("%s %s leads to %+v, %v", m.Route.Verb, m.Route.Path, route, err)
		}
	}
	if route, _, err := table.find(httptest.NewRequest("GET", "/livez", nil)); err != nil || route.own == nil {
		t.Errorf("a document of the door's own leads to %+v, %v", route, err)
	}
	for target, want := range map[string]string{
		"GET /api/v1/users/1": identityv1.UserService_GetUser_FullMethodName, "HEAD /api/v1/users/1": identityv1.UserService_GetUser_FullMethodName,
		"PATCH /api/v1/users/1": identityv1.UserService_UpdateUser_FullMethodName, "POST /api/v1/auth/sign-in": authv1.AuthService_SignIn_FullMethodName,
		"GET /api/v1/users:watch": identityv1.UserService_WatchUsers_FullMethodName, "POST /api/v1/users:import": identityv1.UserService_ImportUsers_FullMethodName,
	} {
		verb, path, _ := strings.Cut(target, " ")
		route, _, err := table.find(httptest.NewRequest(verb, path, nil))
		if err != nil || route.Method.FullName != want {
			t.Errorf("%s: %v %v", target, route, err)
		}
	}
	if _, allow, err := table.find(httptest.NewRequest("POST", "/api/v1/users/1", nil)); err != errNoVerb || strings.Join(allow, " ") != "DELETE GET HEAD PATCH" {
		t.Errorf("allow %v, %v", allow, err)
	}
	if _, _, err := table.find(httptest.NewRequest("GET", "/api/v1/users/1/2", nil)); err != errNoPath {
		t.Errorf("%v", err)
	}
	for path, want := range map[string]string{
		"/api/v1/audit/events:tail": "GET HEAD", "/api/v1/audit/events": "GET HEAD", "/api/v1/users": "GET HEAD POST", "/api/v1/users/:tail": "",
		"/api/v1/users:watch": "GET HEAD", "/api/v1/users:import": "POST", "/api/v1/users:tail": "", "/api/v1/users/:watch": "", "/api/v1/audit/events:watch": "",
		"/api/v1/audit/:tail": "", "/api/v1/audit/events:other": "", "/api/v1/authz/relationships": "GET HEAD POST",
	} {
		_, allow, err := table.find(httptest.NewRequest("PUT", path, nil))
		if strings.Join(allow, " ") != want || (want == "") != (err == errNoPath) {
			t.Errorf("%s: allow %v, %v", path, allow, err)
		}
	}
}
