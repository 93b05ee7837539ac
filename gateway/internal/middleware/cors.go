package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/jub0bs/cors"

	"github.com/gatehouse/gatehouse/internal/rest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
)

// Origins decides which pages may read responses (R27): those of the configured origins; on what an
// application in a browser asks the OpenID provider for, those of every client; on the platform's
// own API, those of clients that an administrator granted it. Origins are compared whole.
// Credentials stay off: the token travels in a header that the page sets itself.
//
// Where people go with their browser, such as the authorization endpoint and the sign-in page,
// nobody's page reads anything, the configured ones neither. A path is named here to be read at
// all.
type Origins struct {
	configured []string

	api, provider, documents listed

	all, platform []string // of clients, as they were told last
	wrong         error    // with them
}

// NewOrigins returns the configured origins alone, such as "https://app.example.com".
func NewOrigins(configured []string) (*Origins, error) {
	o := &Origins{configured: configured}
	for _, l := range []*listed{&o.api, &o.provider, &o.documents} {
		if err := l.set(union(configured, nil)); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// SetClients takes over the web origins of all clients, and those of them whose clients have the
// platform's API. What browsers cannot send is left out and reported. It may be called while
// requests are served, by one goroutine.
func (o *Origins) SetClients(all, platform []string) error {
	if slices.Equal(all, o.all) && slices.Equal(platform, o.platform) {
		return o.wrong
	}
	good, err := sendable(all)
	inAPI := slices.DeleteFunc(slices.Clone(good), func(origin string) bool { return !slices.Contains(platform, origin) })
	o.wrong = errors.Join(err, o.provider.set(union(o.configured, good)), o.api.set(union(o.configured, inAPI)))
	o.all, o.platform = all, platform
	return o.wrong
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// sendable are the origins that browsers can send.
func sendable(origins []string) (good []string, err error) {
	for _, origin := range origins {
		if wrong := CheckOrigin(origin); wrong != nil {
			err = errors.Join(err, wrong)
			continue
		}
		good = append(good, origin)
	}
	return good, err
}

// CheckOrigin reports whether browsers can send an origin in this form, for the configuration to
// name the one that is wrong.
func CheckOrigin(origin string) error { return new(listed).set([]string{origin}) }

// of returns who may read the responses of a path; nil for nobody. A path that is written otherwise
// is refused by the checks, whoever may read that.
func (o *Origins) of(path string) *listed {
	switch path {
	case "/oauth2/token", "/oauth2/userinfo", "/oauth2/revoke", "/oauth2/jwks", "/.well-known/openid-configuration",
		"/.well-known/oauth-authorization-server", "/.well-known/jwks.json":
		return &o.provider
	case "/openapi.json", "/livez", "/readyz", "*":
		return &o.documents
	}
	if strings.HasPrefix(path, "/api/") {
		return &o.api
	}
	return nil
}

// step is the step of the chain.
func (o *Origins) step(next http.Handler) http.Handler {
	wrapped := map[*listed]http.Handler{}
	for _, l := range []*listed{&o.api, &o.provider, &o.documents} {
		wrapped[l] = l.wrap(next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l := o.of(r.URL.Path); l != nil {
			wrapped[l].ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// listed are origins that may read responses, which can be replaced while requests are served.
type listed struct {
	cors cors.Middleware
	some atomic.Bool // whether there are any
}

// set replaces the origins; none lets nobody in.
func (l *listed) set(origins []string) error {
	var config *cors.Config // nil is no CORS; an empty list of origins would be everybody
	if len(origins) > 0 {
		for _, origin := range origins {
			if strings.Contains(origin, "*") {
				return fmt.Errorf("CORS origin %q is a pattern: list each origin as scheme://host[:port]", origin)
			}
		}
		config = &cors.Config{
			Origins:         origins,
			Methods:         []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
			RequestHeaders:  pageHeaders(),
			ResponseHeaders: []string{"ETag", "Retry-After", "WWW-Authenticate", rest.ConsistencyToken, rest.StoredMessages, rest.RequestID},
			MaxAgeInSeconds: 600,
		}
	}
	if err := l.cors.Reconfigure(config); err != nil {
		return fmt.Errorf("CORS origins: %w", err)
	}
	l.some.Store(config != nil)
	return nil
}

// wrap answers preflights, and lets pages read. While there are no origins, a cache is told that
// the response may be another one for a page.
func (l *listed) wrap(next http.Handler) http.Handler {
	open := l.cors.Wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.some.Load() {
			w.Header().Add("Vary", "Origin")
		}
		open.ServeHTTP(w, r)
	})
}

// pageHeaders are the request headers that a page may send: all that the gateway takes, the one
// that only its log takes too.
func pageHeaders() []string { return append(grpcserver.PageHeaders(), rest.RequestID) }
