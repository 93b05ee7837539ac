package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"
)

// api takes access tokens of one issuer for one audience: its own name, an absolute URI that is
// among the audiences of the clients that may call it.
type api struct {
	keys     keyfunc.Keyfunc // of the issuer; they are kept, and fetched anew as they change
	parser   *jwt.Parser
	userinfo string // endpoint of the issuer
}

func newAPI(ctx context.Context, issuer, audience string) (*api, error) {
	if audience == "" {
		return nil, errors.New("AUDIENCE is empty: every token of the issuer would be taken")
	}
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the issuer: %w", err)
	}
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("read the issuer's metadata: %w", err)
	}
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{metadata.Keys}, keyfunc.Override{RefreshInterval: 5 * time.Minute})
	if err != nil {
		return nil, fmt.Errorf("get the issuer's keys: %w", err)
	}
	return &api{keys: keys, userinfo: provider.UserInfoEndpoint(), parser: jwt.NewParser(
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithValidMethods([]string{"EdDSA", "ES256"}),
	)}, nil
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /orders", a.authorize(a.orders))
	mux.Handle("GET /reports", a.authorize(a.reports, "openid", "roles"))
	return mux
}

// claims are what an access token says (RFC 9068, section 2.2).
type claims struct {
	jwt.RegisteredClaims
	ClientID     string `json:"client_id"`
	Organization string `json:"org"`
	Scope        string `json:"scope"`

	compact string // the token itself
}

// verify returns the claims of an access token that is good here. An ID token is none, also one
// that names this API: it is told by its type.
func (a *api) verify(ctx context.Context, compact string) (claims, error) {
	c := claims{compact: compact}
	_, err := a.parser.ParseWithClaims(compact, &c, func(t *jwt.Token) (any, error) {
		if t.Header["typ"] != "at+jwt" {
			return nil, errors.New("not an access token")
		}
		return a.keys.KeyfuncCtx(ctx)(t)
	})
	return c, err
}

// authorize lets a request with a good token of all these scopes through to the handler, and
// refuses others in the words of RFC 6750, section 3.
func (a *api) authorize(next func(http.ResponseWriter, *http.Request, claims), scopes ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, compact, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			refuse(w, http.StatusUnauthorized, `Bearer`)
			return
		}
		c, err := a.verify(r.Context(), compact)
		if err != nil {
			log.Println("refused a token:", err)
			refuse(w, http.StatusUnauthorized, `Bearer error="invalid_token"`)
			return
		}
		granted := strings.Fields(c.Scope)
		if slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(granted, s) }) {
			refuse(w, http.StatusForbidden, `Bearer error="insufficient_scope", scope="`+strings.Join(scopes, " ")+`"`)
			return
		}
		next(w, r, c)
	})
}

func refuse(w http.ResponseWriter, status int, challenge string) {
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, http.StatusText(status), status)
}

// orders are for everybody with a token: sub says whose they are, and org of which organization.
func (a *api) orders(w http.ResponseWriter, _ *http.Request, c claims) {
	answer(w, map[string]any{"orders": []string{}, "of": c.Subject, "organization": c.Organization})
}

// reports are for owners of the person's organization.
func (a *api) reports(w http.ResponseWriter, r *http.Request, c claims) {
	roles, err := a.roles(r.Context(), c.compact)
	switch {
	case errors.Is(err, errSignedOut):
		refuse(w, http.StatusUnauthorized, `Bearer error="invalid_token"`)
	case err != nil:
		log.Println("ask for roles:", err)
		http.Error(w, "not available at the moment", http.StatusServiceUnavailable)
	case !slices.Contains(roles, "organization:"+c.Organization+"#owner"):
		http.Error(w, "for owners", http.StatusForbidden)
	default:
		answer(w, map[string]any{"reports": []string{}, "organization": c.Organization})
	}
}

var errSignedOut = errors.New("the session of the token has ended")

// roles asks the issuer, who knows them as they are now; they are not in the token. It knows also
// that the person has signed out in the meantime.
func (a *api) roles(ctx context.Context, compact string) ([]string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.userinfo, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+compact)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, errSignedOut
	default:
		return nil, errors.New(response.Status)
	}
	var told struct {
		Roles []string `json:"roles"`
	}
	err = json.NewDecoder(response.Body).Decode(&told)
	return told.Roles, err
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(body)
}
