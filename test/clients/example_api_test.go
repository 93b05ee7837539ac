package clients_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	neturl "net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

const (
	invalidToken  = `Bearer error="invalid_token"`
	missingScopes = `Bearer error="insufficient_scope", scope="openid roles"`
)

// asked asks an API with a credential, and returns the status and the challenge.
func asked(t *testing.T, link, credential string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	check.NoError(t, err)
	if credential != "" {
		r.Header.Set("Authorization", credential)
	}
	response, err := http.DefaultClient.Do(r)
	check.NoError(t, err)
	defer response.Body.Close()
	return response.StatusCode, response.Header.Get("WWW-Authenticate")
}

// An API takes access tokens that are for it, as long as they last, and no others.
func (e *examples) protects(t *testing.T) {
	const loopback = "http://127.0.0.1/callback"
	// Its ID tokens are signed as access tokens are, so that no algorithm tells them apart.
	orders := e.register(t, "Orders", "--public", "--redirect", loopback, "--audience", audience, "--id-token-algorithm", "EdDSA")
	stock := e.register(t, "Stock", "--public", "--redirect", loopback, "--audience", "https://stock.example.com")
	// This one takes what is for the client: an ID token, if it takes one at all.
	confused := e.serve(t, "api", "ISSUER="+e.issuer, "AUDIENCE="+orders.Client.ID)
	who, v := e.signUp(t), visitor.New(t, nil)
	v.Says(v.SignIn(v.Open(e.issuer+"/sign-in"), who, password), http.StatusOK, who)
	access := func(t *testing.T, client registered, scopes ...string) string {
		t.Helper()
		return "Bearer " + e.tokens(t, v.In(t), client, scopes...).AccessToken
	}
	id := func(t *testing.T) string {
		t.Helper()
		compact, _ := e.tokens(t, v.In(t), orders, "openid").Extra("id_token").(string)
		return "Bearer " + compact
	}
	for name, c := range map[string]struct {
		link       string
		credential func(*testing.T) string
		status     int
		challenge  string
	}{
		"for it":               {e.api + "/orders", func(t *testing.T) string { return access(t, orders, "email") }, http.StatusOK, ""},
		"with the scopes":      {e.api + "/reports", func(t *testing.T) string { return access(t, orders, "openid", "roles") }, http.StatusOK, ""},
		"none":                 {e.api + "/orders", func(*testing.T) string { return "" }, http.StatusUnauthorized, "Bearer"},
		"of another scheme":    {e.api + "/orders", func(*testing.T) string { return "Basic eDp5" }, http.StatusUnauthorized, "Bearer"},
		"no token":             {e.api + "/orders", func(*testing.T) string { return "Bearer x" }, http.StatusUnauthorized, invalidToken},
		"for another API":      {e.api + "/orders", func(t *testing.T) string { return access(t, stock, "openid") }, http.StatusUnauthorized, invalidToken},
		"for the platform":     {e.api + "/orders", func(t *testing.T) string { return "Bearer " + e.session(t, who) }, http.StatusUnauthorized, invalidToken},
		"changed":              {e.api + "/orders", func(t *testing.T) string { return changed(t, access(t, orders, "openid")) }, http.StatusUnauthorized, invalidToken},
		"an ID token":          {e.api + "/orders", id, http.StatusUnauthorized, invalidToken},
		"an ID token for it":   {confused + "/orders", id, http.StatusUnauthorized, invalidToken},
		"without a scope":      {e.api + "/reports", func(t *testing.T) string { return access(t, orders, "openid", "email") }, http.StatusForbidden, missingScopes},
		"without openid":       {e.api + "/reports", func(t *testing.T) string { return access(t, orders, "roles") }, http.StatusForbidden, missingScopes},
		"without the audience": {e.api + "/reports", func(t *testing.T) string { return access(t, stock, "openid", "roles") }, http.StatusUnauthorized, invalidToken},
	} {
		t.Run(name, func(t *testing.T) {
			if status, challenge := asked(t, c.link, c.credential(t)); status != c.status || challenge != c.challenge {
				t.Errorf("answers %d %s, want %d %s", status, challenge, c.status, c.challenge)
			}
		})
	}
	t.Run("until it is over", func(t *testing.T) {
		v, token := v.In(t), access(t, orders, "openid", "roles")
		v.Says(v.Post(e.issuer+"/sign-out", neturl.Values{}), http.StatusOK, "You are signed out")
		if status, challenge := asked(t, e.api+"/reports", token); status != http.StatusUnauthorized || challenge != invalidToken {
			t.Errorf("what asks Gatehouse does not know that the session has ended: %d %s", status, challenge)
		}
		check.Within(t, 30*time.Second, "the token is over", func() error {
			if status, challenge := asked(t, e.api+"/orders", token); status != http.StatusUnauthorized || challenge != invalidToken {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	})
}

// changed is a token that is somebody else's now.
func changed(t *testing.T, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	check.NoError(t, err)
	other := strings.Replace(string(claims), `"sub":"`, `"sub":"0`, 1)
	if other == string(claims) {
		t.Fatalf("no sub in %s", claims)
	}
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(other)) + "." + parts[2]
}

// session is an access token of the platform's own sign-in.
func (e *examples) session(t *testing.T, who string) string {
	t.Helper()
	body, err := json.Marshal(map[string]string{"email": who, "password": password})
	check.NoError(t, err)
	response, err := http.Post(e.issuer+"/api/v1/auth/sign-in", "application/json", strings.NewReader(string(body)))
	check.NoError(t, err)
	defer response.Body.Close()
	var told struct {
		Access string `json:"access_token"`
	}
	check.NoError(t, json.NewDecoder(response.Body).Decode(&told))
	if told.Access == "" {
		t.Fatalf("not signed in: %d", response.StatusCode)
	}
	return told.Access
}
