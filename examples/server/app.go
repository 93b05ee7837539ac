package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// app signs people in at one issuer.
type app struct {
	ctx        context.Context // refreshes go on after the request that began them
	issuer     string
	endSession string // endpoint of the issuer
	url        string // where browsers find the application
	api        string // what it calls for people; "" for none
	oauth      oauth2.Config
	verifier   *oidc.IDTokenVerifier
	sessions   sessions
}

func newApp(ctx context.Context, issuer, clientID, clientSecret, url string) (*app, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, fmt.Errorf("discover the issuer: %w", err)
	}
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := provider.Claims(&metadata); err != nil {
		return nil, fmt.Errorf("read the issuer's metadata: %w", err)
	}
	return &app{
		ctx: ctx, issuer: issuer, endSession: metadata.EndSession, url: url,
		oauth: oauth2.Config{
			ClientID: clientID, ClientSecret: clientSecret, Endpoint: provider.Endpoint(), RedirectURL: url + "/callback",
			Scopes: []string{oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess}, // offline_access brings a refresh token
		},
		verifier: provider.VerifierContext(ctx, &oidc.Config{ClientID: clientID}),
	}, nil
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.home)
	mux.HandleFunc("GET /sign-in", a.signIn)
	mux.HandleFunc("GET /callback", a.callback)
	mux.HandleFunc("GET /orders", a.orders)
	mux.HandleFunc("POST /sign-out", a.signOut)
	return http.NewCrossOriginProtection().Handler(mux) // no other site signs anybody out
}

// signIn sends the browser to the issuer. What the answer is checked against is in a cookie that
// lasts a few minutes.
func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	http.SetCookie(w, cookie(signInCookie, strings.Join([]string{state, nonce, verifier}, ","), 600))
	http.Redirect(w, r, a.oauth.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
}

// callback takes the issuer's answer.
func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	var kept string
	if c, err := r.Cookie(signInCookie); err == nil {
		kept = c.Value
	}
	http.SetCookie(w, cookie(signInCookie, "", -1))
	state, rest, _ := strings.Cut(kept, ",")
	nonce, verifier, ok := strings.Cut(rest, ",")
	query := r.URL.Query()
	switch {
	case !ok || query.Get("state") != state || query.Get("iss") != a.issuer:
		show(w, http.StatusBadRequest, page{Problem: "This answer is to no sign-in that began here."})
		return
	case query.Has("error"):
		log.Printf("not signed in: %q: %q", query.Get("error"), query.Get("error_description"))
		show(w, http.StatusForbidden, page{Problem: "You are not signed in."})
		return
	}
	s, err := a.redeem(r.Context(), query.Get("code"), nonce, verifier)
	if err != nil {
		log.Println("sign in:", err)
		show(w, http.StatusBadGateway, page{Problem: "You are not signed in. Try again."})
		return
	}
	http.SetCookie(w, cookie(sessionCookie, a.sessions.begin(s), 0)) // a new one at each sign-in
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// redeem exchanges a code, and verifies who has signed in.
func (a *app) redeem(ctx context.Context, code, nonce, verifier string) (*session, error) {
	tokens, err := a.oauth.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, err
	}
	s := &session{tokens: a.oauth.TokenSource(a.ctx, tokens)}
	s.idToken, _ = tokens.Extra("id_token").(string)
	id, err := a.verifier.Verify(ctx, s.idToken)
	switch {
	case err != nil:
		return nil, err
	case id.Nonce != nonce:
		return nil, errors.New("the ID token is for another sign-in")
	}
	return s, id.Claims(&s.person)
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	if s := a.sessions.of(r); s != nil {
		show(w, http.StatusOK, page{Email: s.person.Email})
		return
	}
	show(w, http.StatusOK, page{})
}

// orders calls an API for whoever is signed in. The client refreshes the access token when that is
// over.
func (a *app) orders(w http.ResponseWriter, r *http.Request) {
	s := a.sessions.of(r)
	if s == nil {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	call, err := http.NewRequestWithContext(r.Context(), http.MethodGet, a.api+"/orders", nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	response, err := oauth2.NewClient(a.ctx, s.tokens).Do(call)
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode == "invalid_grant": // signed out elsewhere
		a.sessions.end(r)
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	case err != nil:
		log.Println("call the API:", err)
		show(w, http.StatusBadGateway, page{Email: s.person.Email, Problem: "Orders are not available at the moment."})
		return
	}
	defer response.Body.Close()
	w.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body)
}

// signOut ends the session here, and then that of the browser at the issuer.
func (a *app) signOut(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, cookie(sessionCookie, "", -1))
	s := a.sessions.end(r)
	if s == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	query := url.Values{"id_token_hint": {s.idToken}, "post_logout_redirect_uri": {a.url + "/"}}
	http.Redirect(w, r, a.endSession+"?"+query.Encode(), http.StatusSeeOther)
}

type page struct{ Email, Problem string }

func show(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = looks.Execute(w, p)
}

var looks = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<title>An application with a server</title>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}
{{if .Email}}
<p>You are signed in as {{.Email}}. <a href="/orders">Your orders</a></p>
<form method="post" action="/sign-out"><button>Sign out</button></form>
{{else}}
<p><a href="/sign-in">Sign in</a></p>
{{end}}
</html>
`))
