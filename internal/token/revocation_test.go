package token_test

import (
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/token"
)

// hands is a clock that the test moves.
type hands struct{ at time.Time }

func (h *hands) now() time.Time               { return h.at }
func (h *hands) pass(d time.Duration)         { h.at = h.at.Add(d) }
func (h *hands) in(d time.Duration) time.Time { return h.at.Add(d) }

func revoked(t *testing.T, l *token.RevocationList, session string, want bool) {
	t.Helper()
	if got, err := l.Revoked(session); err != nil || got != want {
		t.Errorf("%s: revoked is %v, %v, want %v", session, got, err, want)
	}
}

func stale(t *testing.T, l *token.RevocationList) {
	t.Helper()
	if got, err := l.Revoked("a session"); err == nil {
		t.Errorf("a stale list answers %v", got)
	}
}

// R22, R62: the list never says "not revoked" when it cannot know.
func TestRevocationListIsSilentWithoutTheFeed(t *testing.T) {
	h := &hands{at: start}
	l := token.NewRevocationList(h.now)
	stale(t, l)
	l.Apply(false, nil)
	stale(t, l)
	l.Apply(false, []token.Revocation{{SessionID: "early", ExpiresAt: h.in(time.Hour)}})
	stale(t, l) // the rest of the set is still to come
	revoked(t, l, "early", true)
	l.Apply(true, []token.Revocation{{SessionID: "a", ExpiresAt: h.in(time.Hour)}})
	revoked(t, l, "early", true)
	revoked(t, l, "a", true)
	revoked(t, l, "b", false)
	h.pass(token.StaleAfter)
	revoked(t, l, "b", false)
	h.pass(time.Millisecond)
	stale(t, l)
	revoked(t, l, "a", true) // what ended stays ended
	l.Apply(false, nil)
	stale(t, l) // a set that is sent anew counts when it is complete
	l.Apply(true, nil)
	revoked(t, l, "a", true)
	revoked(t, l, "b", false)
	if token.StaleAfter >= 5*time.Second {
		t.Error("a sign-out must bite within 5 s even when its message is lost")
	}
}

func TestRevocationListApply(t *testing.T) {
	h := &hands{at: start}
	l := token.NewRevocationList(h.now)
	l.Apply(true, []token.Revocation{{SessionID: "a", ExpiresAt: h.in(10 * time.Minute)}})
	l.Apply(false, []token.Revocation{{SessionID: "b", ExpiresAt: h.in(10 * time.Minute)}})
	revoked(t, l, "a", true)
	revoked(t, l, "b", true)
	l.Apply(true, []token.Revocation{{SessionID: "b", ExpiresAt: h.in(10 * time.Minute)}})
	revoked(t, l, "a", true) // nothing is taken back
	l.Apply(true, []token.Revocation{{SessionID: "b", ExpiresAt: h.in(time.Second)}})
	h.pass(2 * time.Minute)
	l.Apply(true, nil)
	revoked(t, l, "b", true) // never shortened
	h.pass(8*time.Minute + token.Leeway - time.Second)
	l.Apply(true, nil)
	revoked(t, l, "b", true) // a token is accepted for the leeway after its end
	h.pass(2 * time.Minute)
	l.Apply(true, nil)
	revoked(t, l, "a", false) // the expired are forgotten
	revoked(t, l, "b", false)
}

func TestRevokedTokenIsRefused(t *testing.T) {
	ed := edKey(t, "ed")
	l := token.NewRevocationList(clock)
	l.Apply(true, nil)
	v := token.NewVerifier(token.Config{Issuer: issuer, Audience: audience}, keys{"ed": ed.Public()}, l, clock)
	compact := sign(t, claims(), ed)
	if _, err := v.Verify(t.Context(), compact); err != nil {
		t.Fatal(err)
	}
	l.Apply(false, []token.Revocation{{SessionID: "session", ExpiresAt: start.Add(time.Hour)}})
	_, err := v.Verify(t.Context(), compact)
	wantReason(t, err, apierr.Unauthenticated, apierr.TokenRevoked().Reason)
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		config token.Config
		ok     bool
	}{
		{token.Config{Issuer: "https://id.example.com", Audience: "gatehouse"}, true},
		{token.Config{Issuer: "id.example.com", Audience: "gatehouse"}, false},
		{token.Config{Issuer: "", Audience: "gatehouse"}, false},
		{token.Config{Issuer: "https://id.example.com"}, false},
		{token.Config{Issuer: "https://id.example.com", Other: "https://gatehouse.local", Audience: "gatehouse"}, true},
		{token.Config{Issuer: "https://id.example.com", Other: "gatehouse.local", Audience: "gatehouse"}, false},
	} {
		if err := c.config.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.config, err)
		}
	}
}
