package e2e_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	incoming "github.com/gatehouse/gatehouse/internal/request"
)

const tokenHeader = "Gatehouse-Consistency-Token"

// relationship is one as the REST interface has it.
type relationship struct {
	Object   string `json:"object"`
	Relation string `json:"relation"`
	Subject  string `json:"subject"`
}

// relate changes relationships, "writes" or "deletes", and returns the token of the change.
func relate(admin person, change string, all ...relationship) (token string, err error) {
	a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/authz/relationships", bearer: admin.access, body: map[string]any{change: all}})
	if err != nil || a.status != http.StatusOK || a.header.Get(tokenHeader) == "" {
		return "", fmt.Errorf("%s %v: %d %w %s, token %q", change, all, a.status, errOr(err), a.raw, a.header.Get(tokenHeader))
	}
	return a.header.Get(tokenHeader), nil
}

// wantAllowed asks with a token; what is answered must be want.
func wantAllowed(admin person, token string, r relationship, want bool) error {
	a, err := send(plat.URL(), request{method: "POST", path: "/api/v1/authz/check", bearer: admin.access, header: map[string]string{tokenHeader: token}, body: r})
	if err != nil || a.status != http.StatusOK || a.body["allowed"] != want {
		return fmt.Errorf("check of %v: %d %w %s, want %t", r, a.status, errOr(err), a.raw, want)
	}
	return nil
}

// grant makes a right effective and takes it away again, by what writes and deletes it.
type grant struct{ given, right relationship }

// round gives and takes a right; each answer must reflect the change whose token the question carries.
func (g grant) round(admin person) error {
	token, err := relate(admin, "writes", g.given)
	if err == nil {
		err = wantAllowed(admin, token, g.right, true)
	}
	if err != nil {
		return err
	}
	if token, err = relate(admin, "deletes", g.given); err != nil {
		return err
	}
	return wantAllowed(admin, token, g.right, false)
}

// After an acknowledged revocation no check with its token says yes: 500 rounds, half of them of a right of one's own and half of one
// that comes through nested groups (R63, G4).
func TestNewEnemy(t *testing.T) {
	t.Parallel()
	const rounds, workers = 500, 4
	admin := administrator(t)
	right := func(subject string) relationship { return relationship{"platform:gatehouse", "auditor", subject} }
	var all sync.WaitGroup
	for worker := range workers {
		subject := "user:" + signUp(t).id
		g := grant{given: right(subject), right: right(subject)}
		if worker%2 == 1 {
			inner, outer := "group:"+uuid.NewString(), "group:"+uuid.NewString()
			if _, err := relate(admin, "writes", right(outer+"#member"), relationship{outer, "member", inner + "#member"}); err != nil {
				t.Fatal(err)
			}
			g.given = relationship{inner, "member", subject}
		}
		all.Go(func() {
			for n := range rounds / workers {
				if err := g.round(admin); err != nil {
					t.Errorf("round %d: %v", n, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// The same at the door: the first request of somebody whose right was just taken away is refused, and so is one without the token,
// because nothing is cached.
func TestRevokedUsersNextRequestIsRefused(t *testing.T) { // R63
	t.Parallel()
	admin, p := administrator(t), signUp(t)
	role := relationship{"platform:gatehouse", "administrator", "user:" + p.id}
	for n := range 30 {
		for _, step := range []struct {
			change string
			want   int
		}{{"writes", http.StatusOK}, {"deletes", http.StatusForbidden}} {
			token, err := relate(admin, step.change, role)
			if err != nil {
				t.Fatal(err)
			}
			next := request{method: "GET", path: "/api/v1/users?page_size=1", bearer: p.access}
			if n%2 == 0 {
				next.header = map[string]string{tokenHeader: token}
			}
			call(t, step.want, next)
		}
	}
}

// What follows from a fact travels by outbox; whoever asks with the fact's token waits for it and never gets an older answer.
func TestTokenOfASignUp(t *testing.T) {
	t.Parallel()
	admin := administrator(t)
	for range 10 {
		a := call(t, http.StatusCreated, request{method: "POST", path: "/api/v1/auth/sign-up", body: map[string]string{"email": newEmail(), "password": password}})
		user, _ := a.body["user"].(map[string]any)
		token := a.header.Get(tokenHeader)
		if token == "" {
			t.Fatalf("sign-up answers without a token: %v", a.header)
		}
		for _, relation := range []string{"member", "owner"} {
			r := relationship{fmt.Sprint("organization:", user["organization_id"]), relation, fmt.Sprint("user:", user["id"])}
			if err := wantAllowed(admin, token, r, true); err != nil {
				t.Error(err)
			}
		}
	}
}

// A token of what never arrives is waited for until shortly before the deadline, then the answer is
// "not fresh enough": never an older one. What is not a token is refused.
func TestTokensOfNothing(t *testing.T) {
	t.Parallel()
	admin := administrator(t)
	ask := func(token string, r request) (answer, time.Duration) {
		begun := time.Now()
		r.bearer, r.header = admin.access, map[string]string{tokenHeader: token}
		a, err := send(plat.URL(), r)
		if err != nil {
			t.Fatal(err)
		}
		return a, time.Since(begun)
	}
	questions := map[string]request{
		"through a service": {method: "GET", path: "/api/v1/users?page_size=1"},
		"of Authz itself":   {method: "POST", path: "/api/v1/authz/check", body: relationship{"platform:gatehouse", "administrator", "user:" + admin.id}},
	}
	foreign := incoming.TokenAt(incoming.Position{System: 1, Timeline: 1, LSN: 1}).String()
	for name, r := range questions {
		t.Run(name, func(t *testing.T) {
			a, took := ask(incoming.TokenOf(uuid.NewString()).String(), r)
			if a.status != http.StatusServiceUnavailable || a.body["reason"] != "NOT_FRESH_ENOUGH" {
				t.Errorf("an unknown event: %d %s", a.status, a.raw)
			}
			if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
				t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
			}
			if took < time.Second || took > 15*time.Second {
				t.Errorf("it was waited for %s", took)
			}
			if a, _ := ask(foreign, r); a.status != http.StatusServiceUnavailable || a.body["reason"] != "NOT_FRESH_ENOUGH" {
				t.Errorf("a position of another database: %d %s", a.status, a.raw)
			}
			for _, malformed := range []string{"nonsense", foreign + "A", " ", "e"} {
				if a, _ := ask(malformed, r); a.status != http.StatusBadRequest || a.body["reason"] != "INVALID_CONSISTENCY_TOKEN" {
					t.Errorf("%q: %d %s", malformed, a.status, a.raw)
				}
			}
		})
	}
}

// A precondition that does not hold changes nothing.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	admin, p := administrator(t), signUp(t)
	role := relationship{"platform:gatehouse", "auditor", "user:" + p.id}
	a := call(t, http.StatusBadRequest, request{method: "POST", path: "/api/v1/authz/relationships", bearer: admin.access, body: map[string]any{
		"writes": []relationship{role}, "preconditions": []any{map[string]any{"relationship": role, "exists": true}}}})
	if a.body["reason"] != "PRECONDITION_FAILED" {
		t.Errorf("%s", a.raw)
	}
	found := call(t, http.StatusOK, request{method: "GET", path: "/api/v1/authz/relationships?subject=user:" + p.id + "&object=platform:gatehouse", bearer: admin.access})
	if all, _ := found.body["relationships"].([]any); len(all) > 0 {
		t.Errorf("the relationship was written: %s", found.raw)
	}
}
