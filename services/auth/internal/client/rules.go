package client

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Changes are the new values of a client; a nil field stays as it is.
type Changes struct {
	Name                   *string
	RedirectURIs           *[]string
	PostLogoutRedirectURIs *[]string
	WebOrigins             *[]string
	Audiences              *[]string
	Scopes                 *[]string // without ScopePlatform; none: all others
	PlatformAPI            *bool     // ScopePlatform
	IDTokenAlgorithm       *string   // empty: RS256
	RequireVerifiedEmail   *bool
}

// apply returns c with the changes, as a new revision if anything differs.
func (n Changes) apply(c Client, now time.Time) Client {
	next, platform := c, c.PlatformAPI()
	set(&next.Name, n.Name)
	set(&next.RedirectURIs, n.RedirectURIs)
	set(&next.PostLogoutRedirectURIs, n.PostLogoutRedirectURIs)
	set(&next.WebOrigins, n.WebOrigins)
	set(&next.Audiences, n.Audiences)
	set(&next.IDTokenAlgorithm, n.IDTokenAlgorithm)
	set(&next.RequireVerifiedEmail, n.RequireVerifiedEmail)
	set(&platform, n.PlatformAPI)
	set(&next.Scopes, n.Scopes)
	next.Scopes = inOrder(next.Scopes, platform)
	if next.IDTokenAlgorithm == "" {
		next.IDTokenAlgorithm = RS256
	}
	if next.equal(c) {
		return c
	}
	return next.revised(now)
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// inOrder returns scopes in the one order in which they are stored: all own ones when there are
// none, and the platform's last.
func inOrder(scopes []string, platform bool) []string {
	ordered := slices.DeleteFunc(ownScopes(), func(s string) bool { return !slices.Contains(scopes, s) })
	if len(ordered) == 0 {
		ordered = ownScopes()
	}
	if platform {
		ordered = append(ordered, ScopePlatform)
	}
	return ordered
}

// revised returns c as its next revision.
func (c Client) revised(now time.Time) Client {
	c.Revision++
	if !now.After(c.UpdateTime) { // the clock of another instance may be ahead
		now = c.UpdateTime.Add(time.Microsecond)
	}
	c.UpdateTime = now
	return c
}

// check refuses values that break the rules which the contract's field rules cannot say, and names
// each. at is where the fields stand in the request, own are the names of the platform, which no
// client is an audience of.
func (n Changes) check(at string, public bool, own []string) error {
	invalid, broken := apierr.InvalidArgumentError(), false
	refuse := func(field string, f fault) {
		if f.broken() {
			invalid, broken = invalid.WithField(at+field, f.rule, f.must), true
		}
	}
	each := func(field string, values *[]string, rule func(string) fault) {
		if values == nil {
			return
		}
		for i, value := range *values {
			refuse(field+"["+strconv.Itoa(i)+"]", rule(value))
		}
	}
	if n.Name != nil && strings.TrimSpace(*n.Name) == "" {
		refuse("name", fault{"name", "must not be empty: people see it when they sign in"})
	}
	redirect := func(uri string) fault { return checkRedirect(uri, public) }
	each("redirect_uris", n.RedirectURIs, redirect)
	each("post_logout_redirect_uris", n.PostLogoutRedirectURIs, redirect)
	each("web_origins", n.WebOrigins, checkOrigin)
	each("audiences", n.Audiences, func(a string) fault { return checkAudience(a, own) })
	each("scopes", n.Scopes, checkScope)
	if a := n.IDTokenAlgorithm; a != nil && !slices.Contains([]string{"", RS256, ES256, EdDSA}, *a) {
		refuse("id_token_algorithm", fault{"algorithm", "must be RS256, ES256 or EdDSA"})
	}
	if broken {
		return invalid
	}
	return nil
}

// checkScope refuses what the provider does not know. ScopePlatform is granted by a field of its
// own, so that nobody grants it in a list.
func checkScope(scope string) fault {
	switch {
	case scope == ScopePlatform:
		return fault{"scope", "must not be gatehouse: an administrator grants it by platform_api"}
	case !slices.Contains(ownScopes(), scope):
		return fault{"scope", "must be openid, profile, email, roles or offline_access"}
	}
	return fault{}
}
