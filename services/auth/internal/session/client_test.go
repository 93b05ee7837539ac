package session_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const shop = "a client that sells"

// grant is what the shop gets, and registered is what it may have.
func grant() session.Grant {
	return session.Grant{ClientID: shop, Scope: "openid email", Audience: []string{"https://api.shop.example"}}
}

func registered() session.Client {
	return session.Client{ID: shop, Scopes: []string{"openid", "email", "gatehouse"}, Audiences: []string{"https://api.shop.example"}}
}

// below signs the world's user in with a browser, and there at a client.
func (w *world) below(t *testing.T, g session.Grant) (session.Browser, session.Session, session.Tokens) {
	t.Helper()
	_, b := w.begin(t, w.browsers(), "")
	drawn, tokens, err := w.Draw(b, g)
	if err != nil {
		t.Fatal(err)
	}
	w.Below(t, drawn)
	return b, drawn, tokens
}

func (w *world) refreshClient(ctx context.Context, c session.Client, compact, scope string) (session.Session, session.Tokens, error) {
	return w.RefreshClient(postgrestest.Request(ctx, "auth.token_asked"), c, compact, scope)
}

func TestClientsTokenSaysWhoAndForWhat(t *testing.T) { // R42
	w := newWorld(t)
	b, drawn, tokens := w.below(t, grant())
	c, err := w.verifier.VerifyIssued(t.Context(), tokens.Access)
	if err != nil {
		t.Fatal(err)
	}
	if c.ClientID != shop || c.Scope != "openid email" || c.Subject != w.userID || c.OrganizationID != w.org || c.SessionID != drawn.ID ||
		!slices.Equal(c.Audience, []string{"https://id.example", "https://api.shop.example"}) {
		t.Errorf("claims = %+v", c)
	}
	if _, err := w.verifier.Verify(t.Context(), tokens.Access); apierr.From(err).Reason != "INVALID_TOKEN" {
		t.Errorf("on the platform's API: %v, want INVALID_TOKEN", err)
	}
	found, err := w.Get(t.Context(), c.SessionID)
	if err != nil || found.ClientID != shop || found.BrowserID != b.ID || !found.AuthTime.Equal(b.AuthTime) || !slices.Equal(found.AMR, b.AMR) || found.From != b.From {
		t.Errorf("the session = %+v, %v", found, err)
	}
	platform := grant() // the scope counts, and not an audience that somebody has registered
	platform.Audience = append(platform.Audience, "gatehouse")
	_, _, tokens = w.below(t, platform)
	if c, err := w.verifier.VerifyIssued(t.Context(), tokens.Access); err != nil || slices.Contains(c.Audience, "gatehouse") {
		t.Errorf("without the scope it is for %v, %v", c.Audience, err)
	}
	platform.Scope = "openid gatehouse"
	_, _, tokens = w.below(t, platform)
	if c := w.claims(t, tokens.Access); !slices.Equal(c.Audience, []string{"https://id.example", "https://api.shop.example", "gatehouse"}) {
		t.Errorf("with the scope it is for %v", c.Audience)
	}
}

func TestClientRefreshRotatesAndReuseEnds(t *testing.T) { // R33
	w := newWorld(t)
	b, drawn, first := w.below(t, grant())
	w.now = w.now.Add(5 * time.Minute)
	of, second, err := w.refreshClient(t.Context(), registered(), first.Refresh, "")
	if err != nil || of.ID != drawn.ID || of.Scope != "openid email" || second.Refresh == first.Refresh {
		t.Fatalf("refresh = %+v, %v", of, err)
	}
	if _, err := w.ByRefreshToken(t.Context(), shop, second.Refresh); err != nil {
		t.Errorf("the newest token: %v", err)
	}
	for name, compact := range map[string]string{"a used one": first.Refresh, "none": "", "an access token": second.Access} {
		if _, err := w.ByRefreshToken(t.Context(), shop, compact); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	_, _, err = w.refreshClient(t.Context(), registered(), first.Refresh, "")
	refused(t, err)
	_, _, err = w.refreshClient(t.Context(), registered(), second.Refresh, "")
	refused(t, err)
	if !w.ended(t)[drawn.ID] {
		t.Error("its access tokens are not revoked")
	}
	if _, err := w.Get(t.Context(), drawn.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get after the end: %v", err)
	}
	events := w.Recorded(t)
	ended := events[len(events)-1]
	if refreshed := events[len(events)-2]; refreshed.Action != "auth.session_refreshed" || refreshed.Actor.ClientID != shop || refreshed.Actor.SessionID != drawn.ID ||
		ended.Action != "auth.session_ended" || !hasCause(ended, "REFRESH_TOKEN_REUSED") || ended.Actor.ID == w.userID {
		t.Errorf("events = %+v", events)
	}
	again, _, err := w.Draw(b, grant())
	if err != nil {
		t.Fatal(err)
	}
	w.Below(t, again) // the browser session goes on
}

// R33: at most one of 20 parallel refreshes is answered, and what it got is dead, as is the
// session.
func TestRaceOfClientRefreshes(t *testing.T) {
	w := newWorld(t)
	_, drawn, first := w.below(t, grant())
	w.now = w.now.Add(5 * time.Minute) // the browser session is seen by it, too
	var mu sync.Mutex
	var won []session.Tokens
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, tokens, err := w.refreshClient(context.Background(), registered(), first.Refresh, "")
			if err == nil {
				mu.Lock()
				won = append(won, tokens)
				mu.Unlock()
			} else if apierr.From(err).Reason != "INVALID_REFRESH_TOKEN" {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) > 1 || !w.ended(t)[drawn.ID] {
		t.Fatalf("%d of 20 refreshes were answered, ended %v; want at most one, and the session ended", len(won), w.ended(t))
	}
	for _, tokens := range won {
		_, _, err := w.refreshClient(t.Context(), registered(), tokens.Refresh, "")
		refused(t, err)
	}
}

// A refresh token is worth something to its client alone: to others, the platform's own sign-in
// included, it is one that nobody has.
func TestRefreshTokensAreTheirClients(t *testing.T) {
	w := newWorld(t)
	_, drawn, tokens := w.below(t, grant())
	own := w.start(t)
	other := registered()
	other.ID = "another client"
	_, _, err := w.refreshClient(t.Context(), other, tokens.Refresh, "")
	refused(t, err)
	_, err = w.Refresh(refresh(t.Context()), tokens.Refresh)
	refused(t, err)
	_, _, err = w.refreshClient(t.Context(), registered(), own.Refresh, "")
	refused(t, err)
	if _, err := w.ByRefreshToken(t.Context(), other.ID, tokens.Refresh); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("looked up for another client: %v", err)
	}
	if len(w.ended(t)) != 0 {
		t.Errorf("sessions ended: %v", w.ended(t))
	}
	if of, _, err := w.refreshClient(t.Context(), registered(), tokens.Refresh, ""); err != nil || of.ID != drawn.ID {
		t.Errorf("the client itself, afterwards: %v", err)
	}
	if _, err := w.Refresh(refresh(t.Context()), own.Refresh); err != nil {
		t.Errorf("the platform's own sign-in, afterwards: %v", err)
	}
}

func TestRefreshNarrowsTheScope(t *testing.T) { // RFC 6749, section 6
	w := newWorld(t)
	g := grant()
	g.Scope = "openid email gatehouse"
	_, _, tokens := w.below(t, g)
	for _, more := range []string{"profile", "openid profile", "openid  email", " ", "openid gatehouse2"} {
		if _, _, err := w.refreshClient(t.Context(), registered(), tokens.Refresh, more); !errors.Is(err, session.ErrScope) {
			t.Errorf("scope %q: %v, want ErrScope", more, err)
		}
	}
	scopes := func(c session.Client, asked string) (string, []string) {
		t.Helper()
		of, next, err := w.refreshClient(t.Context(), c, tokens.Refresh, asked)
		if err != nil {
			t.Fatal(err)
		}
		tokens = next
		c2, err := w.verifier.VerifyIssued(t.Context(), next.Access)
		if err != nil || c2.Scope != of.Scope {
			t.Fatalf("the token says %q, the answer %q, %v", c2.Scope, of.Scope, err)
		}
		return of.Scope, c2.Audience
	}
	if got, _ := scopes(registered(), "openid"); got != "openid" {
		t.Errorf("narrowed to %q", got)
	}
	if got, audience := scopes(registered(), ""); got != "openid email gatehouse" || !slices.Contains(audience, "gatehouse") {
		t.Errorf("the next one has %q for %v, want all again", got, audience)
	}
	withdrawn := registered()
	withdrawn.Scopes, withdrawn.Audiences = []string{"openid"}, nil
	if got, audience := scopes(withdrawn, ""); got != "openid" || !slices.Equal(audience, []string{"https://id.example"}) {
		t.Errorf("after an administrator took it from the client: %q for %v", got, audience)
	}
}

func TestClientSessionsEnd(t *testing.T) { // R22
	out := func(t *testing.T) context.Context { return postgrestest.Request(t.Context(), "auth.tested") }
	for name, c := range map[string]struct {
		end   func(t *testing.T, w *world, b session.Browser, s session.Session)
		cause string
		alive bool // the browser session
	}{
		"with the browser session": {end: func(t *testing.T, w *world, b session.Browser, _ session.Session) {
			if err := w.browsers().End(out(t), b); err != nil {
				t.Fatal(err)
			}
		}},
		"by its client": {alive: true, end: func(t *testing.T, w *world, _ session.Browser, s session.Session) {
			if err := w.EndClient(out(t), s); err != nil {
				t.Fatal(err)
			}
		}},
		"by a second use of its code": {alive: true, cause: "CODE_REUSED", end: func(t *testing.T, w *world, _ session.Browser, s session.Session) {
			for _, id := range []string{uuid.NewString(), s.ID, s.ID} {
				if err := w.EndReplayed(out(t), id); err != nil {
					t.Fatal(err)
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b, s, tokens := w.below(t, grant())
			_, other, _ := w.below(t, grant())
			c.end(t, w, b, s)
			if !w.ended(t)[s.ID] || w.ended(t)[other.ID] || w.wakes.Load() == 0 {
				t.Errorf("revoked: %v, want %s alone; the feed was woken %d times", w.ended(t), s.ID, w.wakes.Load())
			}
			_, _, err := w.refreshClient(t.Context(), registered(), tokens.Refresh, "")
			refused(t, err)
			var left int
			err = w.Pool.QueryRow(t.Context(), `select count(*) from auth.browser_sessions where id = $1`, b.ID).Scan(&left)
			if err != nil || (left == 1) != c.alive {
				t.Errorf("%d browser sessions, %v", left, err)
			}
			if events := w.Recorded(t); c.cause != "" && (!hasCause(events[len(events)-1], c.cause) || countOf(events, "auth.session_ended") != 1) {
				t.Errorf("events = %+v, want one with %s", events, c.cause)
			}
		})
	}
}

func countOf(events []event.Event, action string) (n int) {
	for _, e := range events {
		if e.Action == action {
			n++
		}
	}
	return n
}

// R21: a client's session is over with the browser session above it, and keeps it alive for as long
// as it is used itself.
func TestClientSessionsAndTheirBrowser(t *testing.T) {
	w := newWorld(t) // an hour without use, a day in all
	b, s, tokens := w.below(t, grant())
	if s.ExpireTime.After(b.ExpireTime) {
		t.Fatalf("it expires at %s, the browser session at %s", s.ExpireTime, b.ExpireTime)
	}
	var err error
	for range 4 {
		w.now = w.now.Add(45 * time.Minute)
		if _, tokens, err = w.refreshClient(t.Context(), registered(), tokens.Refresh, ""); err != nil {
			t.Fatalf("after %s: %v", w.now.Sub(b.CreateTime), err)
		}
	}
	short := w.Config
	short.Idle = 24 * time.Hour // its own does not end it
	lasting := w.with(short, w.Signer)
	w.now = w.now.Add(time.Hour)
	if _, err := lasting.Get(t.Context(), s.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Get below an idle browser session: %v", err)
	}
	if _, err := lasting.ByRefreshToken(t.Context(), shop, tokens.Refresh); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("ByRefreshToken below an idle browser session: %v", err)
	}
	_, _, err = lasting.RefreshClient(refresh(t.Context()), registered(), tokens.Refresh, "")
	refused(t, err)
}

func TestStartedIsAnEventOfThePerson(t *testing.T) { // R66
	w := newWorld(t)
	_, s, _ := w.below(t, grant())
	e := s.Started(postgrestest.Event("auth.token_asked"))
	if e.Action != "auth.client_signed_in" || e.Actor != (event.Actor{Type: event.User, ID: w.userID, SessionID: s.ID, ClientID: shop}) ||
		e.ObjectID != w.userID || e.OrganizationID != w.org || len(e.Changes) != 0 {
		t.Errorf("event = %+v", e)
	}
	if e := s.Started(event.Event{}); e.Action != "" || strings.TrimSpace(e.Method) != "" {
		t.Errorf("without a request: %+v, want what no store takes (R68)", e)
	}
}
