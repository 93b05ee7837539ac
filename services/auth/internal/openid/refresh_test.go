package openid_test

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// refreshes is a good request of the public client for the next tokens.
func refreshes(token string, pairs ...string) url.Values {
	return with(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {webID}}, pairs...)
}

// postgresContext is the context of a request to end a session.
func postgresContext(t *testing.T) context.Context {
	return postgrestest.Request(t.Context(), "auth.signed_out")
}

func TestRefreshTokensRotate(t *testing.T) { // R33
	w := newWorld(t)
	first := w.grant(t, "scope", "openid email offline_access")
	w.now = w.now.Add(time.Minute)
	r, second := post(t, w.Token, refreshes(first.text("refresh_token")))
	if r.StatusCode != 200 || second.text("refresh_token") == "" || second.text("refresh_token") == first.text("refresh_token") ||
		second["scope"] != "openid email offline_access" || second.text("id_token") != "" {
		t.Fatalf("%d %v", r.StatusCode, second)
	}
	w.refresh(t)
	a, err := w.verifier.VerifyIssued(t.Context(), first.text("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := w.verifier.VerifyIssued(t.Context(), second.text("access_token"))
	if err != nil || a.SessionID != b.SessionID || a.ID == b.ID || b.ClientID != webID || b.Scope != "openid email offline_access" {
		t.Errorf("first %+v\nthen %+v, %v", a, b, err)
	}
	if r, told := post(t, w.Token, refreshes(first.text("refresh_token"))); r.StatusCode != 400 || told["error"] != "invalid_grant" {
		t.Errorf("the old one: %d %v", r.StatusCode, told)
	}
	if r, told := post(t, w.Token, refreshes(second.text("refresh_token"))); r.StatusCode != 400 || told["error"] != "invalid_grant" {
		t.Errorf("the new one after the old one: %d %v", r.StatusCode, told)
	}
	w.refresh(t)
	if _, err := w.verifier.VerifyIssued(t.Context(), second.text("access_token")); err == nil {
		t.Error("the access token is still good")
	}
}

// A refresh token is its client's: nobody else gets anything of it, or ends anything by it.
func TestRefreshTokensAreOfOneClient(t *testing.T) { // R33
	w := newWorld(t)
	mine := w.grant(t, "scope", "openid offline_access").text("refresh_token")
	for name, r := range map[string]func() (*http.Response, answer){
		"of a backend": func() (*http.Response, answer) {
			return post(t, w.Token, refreshes(mine, "client_id", ""), basic(backendID, "secret"))
		},
		"unknown":       func() (*http.Response, answer) { return post(t, w.Token, refreshes(mine[1:]+mine[:1])) },
		"none at all":   func() (*http.Response, answer) { return post(t, w.Token, refreshes("x")) },
		"wider scope":   func() (*http.Response, answer) { return post(t, w.Token, refreshes(mine, "scope", "openid email")) },
		"another scope": func() (*http.Response, answer) { return post(t, w.Token, refreshes(mine, "scope", "gatehouse")) },
	} {
		if response, told := r(); response.StatusCode != 400 || told["error"] != "invalid_grant" && told["error"] != "invalid_scope" {
			t.Errorf("%s: %d %v", name, response.StatusCode, told)
		}
	}
	if _, err := w.sessions.Refresh(postgrestest.Request(t.Context(), "auth.session_refreshed"), mine); err == nil {
		t.Error("the platform's own refresh takes the token of a client")
	}
	r, told := post(t, w.Token, refreshes(mine, "scope", "openid"))
	if r.StatusCode != 200 || told["scope"] != "openid" {
		t.Errorf("less scope: %d %v", r.StatusCode, told)
	}
	if r, told := post(t, w.Token, refreshes(told.text("refresh_token"))); r.StatusCode != 200 || told["scope"] != "openid offline_access" {
		t.Errorf("all of it again: %d %v", r.StatusCode, told)
	}
}

func TestRefreshEndsWithTheBrowser(t *testing.T) { // R21, R22
	w := newWorld(t)
	first := w.grant(t, "scope", "openid offline_access")
	t.Run("idle", func(t *testing.T) {
		w.now = w.now.Add(time.Hour)
		if r, told := post(t, w.Token, refreshes(first.text("refresh_token"))); r.StatusCode != 400 {
			t.Errorf("%d %v", r.StatusCode, told)
		}
	})
	second := w.grant(t, "scope", "openid offline_access")
	b, err := w.browsers.Find(t.Context(), w.cookie)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.browsers.End(postgresContext(t), b); err != nil {
		t.Fatal(err)
	}
	if r, told := post(t, w.Token, refreshes(second.text("refresh_token"))); r.StatusCode != 400 {
		t.Errorf("%d %v", r.StatusCode, told)
	}
	w.refresh(t)
	if _, err := w.verifier.VerifyIssued(t.Context(), second.text("access_token")); err == nil {
		t.Error("the access token is still good")
	}
}

func TestRaceOfRedemptions(t *testing.T) { // R31
	w := newWorld(t)
	form := redeems(w.code(t, "scope", "openid offline_access"))
	won := race(t, 50, func() (*http.Response, answer) { return post(t, w.Token, form) })
	if len(won) != 1 {
		t.Fatalf("%d of 50 redemptions of one code succeeded", len(won))
	}
	w.refresh(t)
	if _, err := w.verifier.VerifyIssued(t.Context(), won[0].text("access_token")); err == nil {
		t.Error("the access token is still good")
	}
	if r, _ := post(t, w.Token, refreshes(won[0].text("refresh_token"))); r.StatusCode != 400 {
		t.Error("the refresh token is still good")
	}
}

func TestRaceOfRefreshes(t *testing.T) { // R33
	w := newWorld(t)
	first := w.grant(t, "scope", "openid offline_access")
	won := race(t, 20, func() (*http.Response, answer) { return post(t, w.Token, refreshes(first.text("refresh_token"))) })
	if len(won) > 1 {
		t.Fatalf("%d of 20 refreshes with one token succeeded", len(won))
	}
	w.refresh(t)
	for _, told := range append(won, first) {
		if _, err := w.verifier.VerifyIssued(t.Context(), told.text("access_token")); err == nil {
			t.Error("an access token is still good")
		}
		if r, _ := post(t, w.Token, refreshes(told.text("refresh_token"))); r.StatusCode != 400 {
			t.Error("a refresh token is still good")
		}
	}
}

// A client that is deleted in the moment in which its codes are redeemed leaves no session behind:
// what was handed out is dead, or nothing was (R22).
func TestRaceOfRedemptionsAndTheClientsDeletion(t *testing.T) {
	w := newWorld(t)
	deletion := postgrestest.Event("client.deleted")
	for range 20 {
		c := w.registered(t, client.Client{
			ID: client.NewID(uuid.NewString()), Public: true, Scopes: w.client.Scopes, RedirectURIs: []string{callback}, IDTokenAlgorithm: client.EdDSA,
		})
		var forms []url.Values
		for range 5 {
			forms = append(forms, redeems(w.code(t, "client_id", c.ID, "scope", "openid offline_access"), "client_id", c.ID))
		}
		var wg sync.WaitGroup
		for _, form := range forms {
			wg.Go(func() {
				if r, told := post(t, w.Token, form); r.StatusCode != 200 && told["error"] != "invalid_grant" && told["error"] != "invalid_client" {
					t.Errorf("%d %v", r.StatusCode, told)
				}
			})
		}
		wg.Go(func() {
			err := w.Clients.Delete(t.Context(), c.ID, w.now.Add(session.RevocationPeriod), func(client.Client) (event.Event, error) { return deletion, nil })
			if err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	var left, redeemed, revoked int
	err := w.Pool.QueryRow(t.Context(), `
		select (select count(*) from auth.sessions), (select count(*) from auth.used_codes), (select count(*) from auth.revocations)`).Scan(&left, &redeemed, &revoked)
	if err != nil || left != 0 || redeemed != revoked {
		t.Errorf("%d sessions are left; %d codes were redeemed and %d sessions ended, %v", left, redeemed, revoked, err)
	}
}

// race does a request many times at once, and returns what was answered with 200.
func race(t *testing.T, times int, do func() (*http.Response, answer)) []answer {
	var mu sync.Mutex
	var won []answer
	var wg sync.WaitGroup
	for range times {
		wg.Go(func() {
			r, told := do()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case r.StatusCode == http.StatusOK:
				won = append(won, told)
			case told["error"] != "invalid_grant":
				t.Errorf("%d %v", r.StatusCode, told)
			}
		})
	}
	wg.Wait()
	return won
}
