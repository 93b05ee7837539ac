package app_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// R17: every route whose contract asks for a fresh sign-in answers any other token with the
// challenge of RFC 9470, which says how old a sign-in may be.
func TestEveryRouteThatAsksForAFreshSignIn(t *testing.T) {
	r := start(t, nil)
	old := r.Tokens.Old(r.Users.Add("a@example.com", "A"))
	variable := regexp.MustCompile(`\{[^}]*\}`)
	walked := 0
	for _, m := range meshtest.Contract(t).Methods() {
		if !m.FreshSignIn || m.Route == nil {
			continue
		}
		walked++
		path, body := variable.ReplaceAllString(m.Route.Path, uuid.NewString()), ""
		if m.Route.Body != "" {
			body = "{}"
		}
		for name, bearer := range old {
			a := r.do(request{method: m.Route.Verb, path: path, body: body, bearer: bearer})
			const challenge = `Bearer realm="gatehouse", error="insufficient_user_authentication", max_age="300"`
			if a.status != http.StatusUnauthorized || !strings.Contains(a.body, "FRESH_SIGN_IN_REQUIRED") || a.header.Get("WWW-Authenticate") != challenge {
				t.Errorf("%s %s with a token %s: %d %s, WWW-Authenticate %q", m.Route.Verb, path, name, a.status, a.body, a.header.Get("WWW-Authenticate"))
			}
		}
		if a := r.do(request{method: m.Route.Verb, path: path, body: body, bearer: r.bearer(r.Users.Add(uuid.NewString()+"@example.com", "B"))}); a.status == http.StatusUnauthorized { // the control
			t.Errorf("%s %s after a fresh sign-in: %s", m.Route.Verb, path, a.body)
		}
	}
	if walked < 3 {
		t.Errorf("only %d routes ask for a fresh sign-in: the walk looks in the wrong place", walked)
	}
}
