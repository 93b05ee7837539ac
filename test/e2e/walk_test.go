package e2e_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// contracts are those of the platform's own programs.
func contracts(t testing.TB) *contract.Contract {
	t.Helper()
	c := meshtest.Contract(t)
	return c
}

// routeCall is how the walk calls one routed method, about things of a certain person.
type routeCall struct {
	request func(of person) request
	public  int // what an anonymous request is answered, for methods without a token
	anybody bool
	served  int // what who may is answered, where that is not the method's status
}

// routeCalls has one entry for each routed method. The walk fails for a method that is missing
// here, so none is forgotten.
func routeCalls() map[string]routeCall {
	credentials := func(of person) map[string]string { return map[string]string{"email": of.email, "password": password} }
	calls := map[string]routeCall{
		"/gatehouse.auth.v1.AuthService/SignUp": {public: http.StatusConflict, request: func(of person) request {
			return request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": of.email, "password": password + "!", "display_name": "Eve"}}
		}},
		"/gatehouse.auth.v1.AuthService/SignIn": {public: http.StatusOK, request: func(of person) request {
			return request{method: "POST", path: "/api/v1/auth/sign-in", body: credentials(of)}
		}},
		"/gatehouse.auth.v1.AuthService/Refresh": {public: http.StatusUnauthorized, request: func(person) request {
			return request{method: "POST", path: "/api/v1/auth/refresh", body: map[string]string{"refresh_token": "nobody's"}}
		}},
		"/gatehouse.auth.v1.AuthService/Bootstrap": {public: http.StatusUnauthorized, request: func(of person) request {
			return request{method: "POST", path: "/api/v1/auth/bootstrap", body: map[string]string{"secret": "not the secret at all, but long enough", "email": of.email, "password": password}}
		}},
		"/gatehouse.auth.v1.AuthService/SignOut": {anybody: true, request: func(person) request {
			return request{method: "POST", path: "/api/v1/auth/sign-out"}
		}},
		"/gatehouse.identity.v1.UserService/GetMe": {anybody: true, request: func(person) request {
			return request{method: "GET", path: "/api/v1/me"}
		}},
		"/gatehouse.identity.v1.UserService/GetUser": {request: func(of person) request { return request{method: "GET", path: of.path()} }},
		"/gatehouse.identity.v1.UserService/UpdateUser": {request: func(of person) request {
			return request{method: "PATCH", path: of.path(), body: map[string]string{"display_name": "Mallory"}}
		}},
		"/gatehouse.identity.v1.UserService/DeleteUser": {request: func(of person) request { return request{method: "DELETE", path: of.path()} }},
		"/gatehouse.identity.v1.UserService/CreateUser": {request: func(of person) request {
			return request{method: "POST", path: "/api/v1/users", body: map[string]string{"organization_id": of.organization, "email": newEmail(), "display_name": "New"}}
		}},
		"/gatehouse.identity.v1.UserService/ListUsers": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/users?organization_id=" + of.organization}
		}},
		"/gatehouse.identity.v1.UserService/WatchUsers": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/users:watch?organization_id=" + of.organization}
		}},
		"/gatehouse.identity.v1.UserService/ImportUsers": {request: func(of person) request {
			return request{method: "POST", path: "/api/v1/users:import", header: map[string]string{"Content-Type": "application/x-ndjson"},
				body: fmt.Sprintf(`{"organization_id":%q,"users":[{"email":%q}]}`, of.organization, newEmail())}
		}},
		"/gatehouse.authz.v1.RelationshipService/CheckRelationship": {request: func(of person) request {
			return request{method: "POST", path: "/api/v1/authz/check", body: map[string]string{"subject": "user:" + of.id, "relation": "can_read", "object": "organization:" + of.organization}}
		}},
		"/gatehouse.authz.v1.RelationshipService/UpdateRelationships": {request: func(of person) request {
			return request{method: "POST", path: "/api/v1/authz/relationships", body: map[string]any{"writes": []any{
				map[string]string{"object": "organization:" + of.organization, "relation": "auditor", "subject": "user:" + of.id}}}}
		}},
		"/gatehouse.authz.v1.RelationshipService/ListRelationships": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/authz/relationships?object=organization:" + of.organization}
		}},
	}
	maps.Copy(calls, sessionCalls())
	maps.Copy(calls, auditCalls())
	maps.Copy(calls, mailCalls())
	maps.Copy(calls, invitationCalls())
	return calls
}

// auditCalls are those of the methods of Audit.
func auditCalls() map[string]routeCall {
	return map[string]routeCall{
		"/gatehouse.audit.v1.AuditService/ListEvents": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/audit/events?organization_id=" + of.organization}
		}},
		"/gatehouse.audit.v1.AuditService/TailEvents": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/audit/events:tail?organization_id=" + of.organization}
		}},
		"/gatehouse.audit.v1.LogService/GetCheckpoint": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/audit/checkpoint?organization_id=" + of.organization}
		}},
		"/gatehouse.audit.v1.LogService/GetEventProof": {served: http.StatusNotFound, request: func(of person) request {
			return request{method: "GET", path: "/api/v1/audit/events/" + of.id + "/proof?organization_id=" + of.organization}
		}},
		"/gatehouse.audit.v1.LogService/ReadLog": {request: func(person) request {
			return request{method: "GET", path: "/api/v1/audit/log:read"}
		}},
		"/gatehouse.audit.v1.LogService/ReopenLog": {request: func(person) request {
			return request{method: "POST", path: "/api/v1/audit/log:reopen", body: map[string]string{"reason": "the walk tries every route"}}
		}},
		"/gatehouse.audit.v1.LogService/GetConsistencyProof": {request: func(of person) request {
			return request{method: "GET", path: "/api/v1/audit/consistency?organization_id=" + of.organization}
		}},
	}
}

// sessionCalls are those of the methods about sessions.
func sessionCalls() map[string]routeCall {
	return map[string]routeCall{
		"/gatehouse.auth.v1.SessionService/ListMySessions": {anybody: true, request: func(person) request {
			return request{method: "GET", path: "/api/v1/me/sessions"}
		}},
		"/gatehouse.auth.v1.SessionService/EndMySession": {anybody: true, request: func(of person) request {
			return request{method: "DELETE", path: "/api/v1/me/sessions/" + of.session()}
		}},
		"/gatehouse.auth.v1.SessionService/EndMyOtherSessions": {anybody: true, request: func(person) request {
			return request{method: "POST", path: "/api/v1/me/sessions:end-others"}
		}},
		"/gatehouse.auth.v1.SessionService/ChangePassword": {anybody: true, request: func(person) request {
			return request{method: "POST", path: "/api/v1/me/password", body: map[string]string{"old_password": password, "new_password": password + "!"}}
		}},
		"/gatehouse.auth.v1.SessionService/ListUserSessions": {request: func(of person) request {
			return request{method: "GET", path: of.path() + "/sessions"}
		}},
		"/gatehouse.auth.v1.SessionService/EndUserSession": {request: func(of person) request {
			return request{method: "DELETE", path: of.path() + "/sessions/" + of.session()}
		}},
		"/gatehouse.auth.v1.SessionService/EndUserSessions": {request: func(of person) request {
			return request{method: "DELETE", path: of.path() + "/sessions"}
		}},
	}
}

// clientCalls are those of the methods about OAuth clients, each about a client of its own.
func clientCalls(t *testing.T) map[string]routeCall {
	const clients, service = "/api/v1/clients", "/gatehouse.auth.v1.ClientService/"
	registration := map[string]any{"name": "Walked", "redirect_uris": []string{"https://app.example.com/cb"}}
	register := func() (path, secret string) {
		t.Helper()
		a := callAs(t, request{method: "POST", path: clients, body: registration}, administrator(t).access)
		var created struct {
			Client struct {
				ID      string
				Secrets []struct{ ID string }
			}
		}
		if err := json.Unmarshal(a.raw, &created); err != nil || a.status != http.StatusCreated || len(created.Client.Secrets) != 1 {
			t.Fatalf("register a client: %d %s", a.status, a.raw)
		}
		return clients + "/" + created.Client.ID, created.Client.Secrets[0].ID
	}
	about := func(method, below string, body any) routeCall {
		return routeCall{request: func(person) request {
			path, _ := register()
			return request{method: method, path: path + below, body: body}
		}}
	}
	return map[string]routeCall{
		service + "CreateClient": {request: func(person) request { return request{method: "POST", path: clients, body: registration} }},
		service + "ListClients":  {request: func(person) request { return request{method: "GET", path: clients} }},

		service + "GetClient":          about("GET", "", nil),
		service + "UpdateClient":       about("PATCH", "", map[string]any{"platform_api": true}),
		service + "DeleteClient":       about("DELETE", "", nil),
		service + "RotateClientSecret": about("POST", "/secrets", nil),
		service + "EndClientSecret": {request: func(person) request {
			path, secret := register()
			callAs(t, request{method: "POST", path: path + "/secrets"}, administrator(t).access) // the only one stays
			return request{method: "DELETE", path: path + "/secrets/" + secret}
		}},
	}
}

// session is the id of the session that the person's token names.
func (p person) session() string {
	parts := strings.Split(p.access, ".")
	var claims struct{ SID string }
	if len(parts) == 3 {
		if text, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(text, &claims) // what is none names no session
		}
	}
	return claims.SID
}

// Every route is walked as anonymous, as somebody without a grant who belongs to another organization, and as administrator (R50, R52).
func TestWalkRoutes(t *testing.T) {
	routes := 0
	known := routeCalls()
	maps.Copy(known, clientCalls(t))
	maps.Copy(known, standingCalls())
	maps.Copy(known, proofCalls())
	for _, m := range contracts(t).Methods() {
		if m.Route == nil {
			continue
		}
		if m.Exchange {
			t.Run(strings.TrimPrefix(m.FullName, "/"), func(t *testing.T) { walkExchange(t, m) })
			continue
		}
		routes++
		c, ok := known[m.FullName]
		if !ok {
			t.Errorf("%s (%s %s) is not walked: add it to routeCalls", m.FullName, m.Route.Verb, m.Route.Path)
			continue
		}
		t.Run(strings.TrimPrefix(m.FullName, "/"), func(t *testing.T) { walk(t, m, c) })
	}
	if routes != len(known) {
		t.Errorf("%d routes and %d calls: remove those of methods that are gone", routes, len(known))
	}
}

// walkExchange asks a web exchange for nothing in particular, as a stranger: it answers by itself,
// never with a problem document.
func walkExchange(t *testing.T, m *contract.Method) {
	req, err := http.NewRequestWithContext(t.Context(), m.Route.Verb, plat.URL()+m.Route.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // which follows no redirect
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode >= 500 || resp.Header.Get("Content-Type") == "application/problem+json" {
		t.Errorf("a stranger is answered %d, %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}

func walk(t *testing.T, m *contract.Method, c routeCall) {
	ada := signUp(t)
	anonymous := callAs(t, c.request(ada), "")
	switch {
	case c.public != 0:
		if anonymous.status != c.public || anonymous.body["reason"] == "TOKEN_REQUIRED" {
			t.Errorf("anonymous: %d %s, want %d", anonymous.status, anonymous.raw, c.public)
		}
		return
	case anonymous.status != http.StatusUnauthorized || anonymous.body["reason"] != "TOKEN_REQUIRED":
		t.Errorf("anonymous: %d %s, want 401", anonymous.status, anonymous.raw)
	}
	served := cmp.Or(c.served, m.HTTPStatus)
	if c.anybody {
		if got := callAs(t, c.request(ada), ada.access); got.status != served {
			t.Errorf("signed in: %d %s, want %d", got.status, got.raw, served)
		}
		return
	}
	stranger := callAs(t, c.request(ada), signUp(t).access)
	// Of an object that the request names nobody learns whether it exists; that the platform itself
	// does is not a secret.
	want := http.StatusForbidden
	if slices.ContainsFunc(m.Access, func(a contract.Access) bool { return a.Kind == contract.Permission && a.Field != "" }) {
		want = http.StatusNotFound
	}
	if stranger.status != want {
		t.Errorf("without grant, of another organization: %d %s, want %d", stranger.status, stranger.raw, want)
	}
	unknown := ada
	unknown.id, unknown.organization = "0b5c9e8e-6f5d-4c3b-8a29-1d7e6f5c4b3a", "5f0c7a52-3c1e-4d8f-9b6a-2e4d6c8b0a1f"
	if nobody := callAs(t, c.request(unknown), signUp(t).access); nobody.status != stranger.status || nobody.body["reason"] != stranger.body["reason"] || nobody.body["detail"] != stranger.body["detail"] {
		t.Errorf("an unknown id answers %d %s, a foreign one %d %s", nobody.status, nobody.raw, stranger.status, stranger.raw)
	}
	if got := callAs(t, c.request(ada), administrator(t).access); got.status != served {
		t.Errorf("administrator: %d %s, want %d", got.status, got.raw, served)
	}
}

// callAs sends a request; of an answer that is a stream, only the head is read.
func callAs(t *testing.T, r request, bearer string) answer {
	t.Helper()
	r.bearer = bearer
	path, _, _ := strings.Cut(r.path, "?")
	streams := strings.HasSuffix(path, ":tail") || strings.HasSuffix(path, ":watch") || strings.HasSuffix(path, ":read")
	if !streams || bearer == "" {
		a, err := send(plat.URL(), r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, plat.URL()+r.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode >= 400 {
		if err := json.NewDecoder(resp.Body).Decode(&a.body); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// Every cell of the matrix of callers and methods is tried against the running sidecars, with the caller's own mesh certificate: no
// program reaches a method unless the contract lists it (R79). No method of the descriptors is left out.
func TestWalkMachines(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	raw, err := plat.CLI(ctx, "mesh", "verify", "-o", "json")
	if err != nil {
		t.Fatalf("gatehouse mesh verify: %v\n%s", err, raw)
	}
	var report struct {
		Results []struct{ Caller, Callee, Path, Want, Got string }
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		t.Fatal(err)
	}
	tried := map[string]int{}
	for _, r := range report.Results {
		if r.Got != r.Want {
			t.Errorf("%s -> %s is %s", r.Caller, r.Path, r.Got)
		}
		if r.Got == "refused" {
			tried[r.Path]++
		}
	}
	for _, m := range contracts(t).Methods() {
		// Somebody is always unlisted: at least the prober, which declares no call to the platform's own programs.
		if tried[m.FullName] == 0 {
			t.Errorf("%s was not tried by any program that may not call it", m.FullName)
		}
	}
}

// bootstrapped makes the shared platform's administrator once.
var bootstrapped = sync.OnceValues(func() (person, error) {
	admin := person{email: newEmail()}
	secret, err := plat.BootstrapSecret()
	if err != nil {
		return admin, err
	}
	a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/bootstrap", body: map[string]string{"secret": secret, "email": admin.email, "password": password}})
	if err != nil {
		return admin, err
	}
	if user, ok := a.body["user"].(map[string]any); ok {
		admin.id, _ = user["id"].(string)
		admin.organization, _ = user["organization_id"].(string)
		return admin, arrived(admin, a.header.Get("Gatehouse-Consistency-Token"))
	}
	return admin, fmt.Errorf("bootstrap: %d %s", a.status, a.raw)
})

// arrived asks once with the token of the bootstrap: the answer comes after the administrator's right has arrived.
func arrived(admin person, token string) error {
	in, err := send(plat.URL(), request{method: "POST", path: "/api/v1/auth/sign-in", body: map[string]string{"email": admin.email, "password": password}})
	if err != nil {
		return err
	}
	access, _ := in.body["access_token"].(string)
	a, err := send(plat.URL(), request{method: "GET", path: "/api/v1/users?page_size=1", bearer: access, header: map[string]string{"Gatehouse-Consistency-Token": token}})
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("the administrator's first list with the token %q: %d %s", token, a.status, a.raw)
	}
	return err
}

// administrator is the platform's administrator with a fresh session.
func administrator(t testing.TB) person {
	t.Helper()
	admin, err := bootstrapped()
	if err != nil {
		t.Fatal(err)
	}
	return admin.signIn(t)
}
