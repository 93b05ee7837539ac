package app_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// R42, R50: a client's token without the platform's scope, and an ID token, are 401 on every route
// that takes a token.
func TestEveryRouteRefusesTokensForOthers(t *testing.T) {
	r := start(t, nil)
	foreign := r.Tokens.Foreign(r.Users.Add("a@example.com", "A"))
	variable := regexp.MustCompile(`\{[^}]*\}`)
	walked := 0
	for _, m := range meshtest.Contract(t).Methods() {
		if m.Route == nil || m.Has(contract.Public) || !strings.HasPrefix(m.Route.Path, "/api/v1/") {
			continue
		}
		walked++
		path := variable.ReplaceAllString(m.Route.Path, uuid.NewString())
		for name, bearer := range foreign {
			a := r.do(request{method: m.Route.Verb, path: path, bearer: bearer})
			if a.status != http.StatusUnauthorized || !strings.Contains(a.body, "INVALID_TOKEN") || a.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s %s with a token %s: %d %s, WWW-Authenticate %q", m.Route.Verb, path, name, a.status, a.body, a.header.Get("WWW-Authenticate"))
			}
		}
		if m.Descriptor.IsStreamingServer() {
			continue
		}
		own := r.bearer(r.Users.Add(fmt.Sprintf("%d@example.com", walked), "B"))
		if a := r.do(request{method: m.Route.Verb, path: path, bearer: own}); a.status == http.StatusUnauthorized { // the control
			t.Errorf("%s %s with a token for it: %s", m.Route.Verb, path, a.body)
		}
	}
	if walked < 25 {
		t.Errorf("only %d routes take tokens: the walk looks in the wrong place", walked)
	}
}
