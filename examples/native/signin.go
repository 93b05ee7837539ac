package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/cli/browser"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// signIn opens the browser, waits for the answer on a port of this machine (RFC 8252, sections 6 and
// 7.3), and returns the tokens and the address of who has signed in. There is no refresh token: the
// session is over with the access token, after some minutes. A command that stays signed in asks for
// oidc.ScopeOfflineAccess too, and keeps the refresh token where the system keeps passwords.
func signIn(ctx context.Context, issuer, clientID string) (*oauth2.Token, string, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, "", fmt.Errorf("discover the issuer: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0") // any port that is free
	if err != nil {
		return nil, "", err
	}
	config := oauth2.Config{
		ClientID: clientID, Endpoint: provider.Endpoint(), RedirectURL: "http://" + listener.Addr().String() + "/callback",
		Scopes: []string{oidc.ScopeOpenID, "email"},
	}
	config.Endpoint.AuthStyle = oauth2.AuthStyleInParams // a public client only says its name
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	link := config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier))
	log.Println("Your browser opens", link)
	if err := browser.OpenURL(link); err != nil {
		log.Println("Open it yourself:", err)
	}
	code, err := answer(ctx, listener, issuer, state)
	if err != nil {
		return nil, "", err
	}
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, "", err
	}
	compact, _ := tokens.Extra("id_token").(string)
	id, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: clientID}).Verify(ctx, compact)
	switch {
	case err != nil:
		return nil, "", err
	case id.Nonce != nonce:
		return nil, "", errors.New("the ID token is for another sign-in")
	}
	var person struct {
		Email string `json:"email"`
	}
	err = id.Claims(&person)
	return tokens, person.Email, err
}

// answer serves the redirect of the browser until one comes with the state, which others do not
// know, and returns its code.
func answer(ctx context.Context, listener net.Listener, issuer, state string) (string, error) {
	answers := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		if query.Get("state") != state || query.Get("iss") != issuer {
			http.Error(w, "This answer is to no sign-in that began here.", http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, "You can close this page, and go back to the command.\n")
		select {
		case answers <- query:
		default: // the page was loaded again
		}
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Shutdown(context.WithoutCancel(ctx)) }() // after the browser has its page
	select {
	case query := <-answers:
		if query.Has("error") {
			return "", fmt.Errorf("%s: %q", query.Get("error"), query.Get("error_description"))
		}
		return query.Get("code"), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// orders calls an API for whoever has signed in, and prints what it says.
func orders(ctx context.Context, api string, tokens *oauth2.Token) error {
	call, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/orders", nil)
	if err != nil {
		return err
	}
	response, err := oauth2.NewClient(ctx, oauth2.StaticTokenSource(tokens)).Do(call)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
