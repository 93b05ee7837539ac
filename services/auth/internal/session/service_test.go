package session_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// signer signs with one key; it is also the verifier's KeySource.
type signer struct{ key token.SigningKey }

func (s signer) Sign(c token.Claims) (string, error) { return token.Sign(c, s.key) }

func (s signer) Key(context.Context, string) (token.Key, error) { return s.key.Public(), nil }

// world is one Auth with its database, one active login and a feed.
type world struct {
	*session.Service
	*postgrestest.Database
	store       *postgres.Sessions
	logins      *postgres.Logins
	feed        *session.Feed
	verifier    *token.Verifier
	userID, org string
	now         time.Time
	wakes       atomic.Int64
	log         bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db := postgrestest.Open(t)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := signer{token.SigningKey{ID: "k1", Algorithm: token.EdDSA, Signer: private}}
	w := &world{
		Database: db, store: db.Sessions, logins: db.Logins,
		userID: uuid.NewString(), org: uuid.NewString(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
	clock := func() time.Time { return w.now }
	w.feed = session.NewFeed(w.store, clock)
	w.verifier = token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, keys, never{}, clock)
	w.Service = w.with(session.Config{
		Issuer: "https://id.example", Audience: "gatehouse",
		AccessTTL: 10 * time.Minute, Lifetime: 24 * time.Hour, Idle: time.Hour, BrowserIdle: time.Hour,
	}, keys)
	l := login.Login{UserID: w.userID, Email: "ada@example.com", PasswordHash: "$hash"}
	signedUp := postgrestest.Event("auth.signed_up")
	if _, _, err := w.logins.Reserve(t.Context(), l, signedUp, w.now, w.now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.logins.Activate(t.Context(), login.NewActivation(signedUp, w.userID, w.org), w.now); err != nil {
		t.Fatal(err)
	}
	return w
}

// with is another instance on the same database, or the same one after a restart.
func (w *world) with(c session.Config, signer session.Signer) *session.Service {
	return session.NewService(session.Params{
		Config: c, Store: w.store, Signer: signer, NewID: uuid.NewString, Random: rand.Reader, Now: func() time.Time { return w.now },
		Wake: func() { w.wakes.Add(1) }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	})
}

// refresh is the context of a request.
func refresh(ctx context.Context) context.Context {
	return postgrestest.Request(ctx, "auth.session_refreshed")
}

// never is not a revocation.
type never struct{}

func (never) Revoked(string) (bool, error) { return false, nil }

// proof is that the world's user was proven, by a password hash.
func (w *world) proof(hash string, attempt event.Event) session.Proof {
	return session.Proof{UserID: w.userID, OrganizationID: w.org, AMR: []string{"pwd"}, PasswordHash: hash, Attempt: attempt}
}

func (w *world) start(t *testing.T) session.Tokens {
	t.Helper()
	tokens, err := w.Start(t.Context(), w.proof("", postgrestest.Event("auth.signed_in")))
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (w *world) claims(t *testing.T, compact string) token.Claims {
	t.Helper()
	c, err := w.verifier.Verify(t.Context(), compact)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ended returns the revoked sessions.
func (w *world) ended(t *testing.T) map[string]bool {
	t.Helper()
	all, _, err := w.store.Revocations(t.Context(), 0, w.now)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range all {
		ids[r.SessionID] = true
	}
	return ids
}

func refused(t *testing.T, err error) {
	t.Helper()
	e := apierr.From(err)
	if err == nil || e.Kind != apierr.Unauthenticated || e.Reason != "INVALID_REFRESH_TOKEN" ||
		e.Message != "the refresh token is not valid; sign in again" {
		t.Fatalf("err = %v, want INVALID_REFRESH_TOKEN", err)
	}
}

func TestAccessTokenSaysWhoAndHowLong(t *testing.T) { // R42
	w := newWorld(t)
	tokens := w.start(t)
	c := w.claims(t, tokens.Access)
	if c.Subject != w.userID || c.OrganizationID != w.org || c.ClientID != "gatehouse" || c.Scope != "gatehouse" || c.SessionID == "" || c.ID == "" ||
		!c.IssuedAt.Equal(w.now) || !c.ExpiresAt.Equal(w.now.Add(10*time.Minute)) || tokens.ExpiresIn != 10*time.Minute {
		t.Fatalf("claims = %+v", c)
	}
}

func TestRefreshRotates(t *testing.T) {
	w := newWorld(t)
	first := w.start(t)
	w.now = w.now.Add(time.Minute)
	second, err := w.Refresh(refresh(t.Context()), first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	a, b := w.claims(t, first.Access), w.claims(t, second.Access)
	if a.SessionID != b.SessionID || a.ID == b.ID || second.Refresh == first.Refresh || b.OrganizationID != w.org {
		t.Fatalf("claims before %+v\nafter %+v", a, b)
	}
	if _, err := w.Refresh(refresh(t.Context()), second.Refresh); err != nil {
		t.Fatalf("the second token: %v", err)
	}
}

func TestReuseEndsTheSession(t *testing.T) { // R33
	w := newWorld(t)
	first := w.start(t)
	other := w.start(t)
	second, err := w.Refresh(refresh(t.Context()), first.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	third, err := w.Refresh(refresh(t.Context()), second.Refresh)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Refresh(refresh(t.Context()), first.Refresh) // two generations old
	refused(t, err)
	if w.wakes.Load() == 0 {
		t.Error("the feed was not woken")
	}
	_, err = w.Refresh(refresh(t.Context()), third.Refresh)
	refused(t, err)
	if sid := w.claims(t, third.Access).SessionID; !w.ended(t)[sid] {
		t.Error("the session's access tokens are not revoked")
	}
	if _, err := w.Refresh(refresh(t.Context()), other.Refresh); err != nil {
		t.Errorf("another session of the user: %v", err)
	}
	if text := w.log.String(); !strings.Contains(text, "used again") || strings.Contains(text, first.Refresh) {
		t.Errorf("log = %s", text)
	}
}

func TestParallelRefreshesLeaveAtMostOneFamily(t *testing.T) { // R33
	w := newWorld(t)
	first := w.start(t)
	var mu sync.Mutex
	var won []session.Tokens
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			tokens, err := w.Refresh(refresh(context.Background()), first.Refresh)
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
	if len(won) > 1 {
		t.Fatalf("%d of 20 refreshes with one token succeeded", len(won))
	}
	for _, tokens := range won { // its session ended with the second use
		_, err := w.Refresh(refresh(t.Context()), tokens.Refresh)
		refused(t, err)
		if !w.ended(t)[w.claims(t, tokens.Access).SessionID] {
			t.Error("the winner's access token is not revoked")
		}
	}
}

func TestForgedRefreshTokensChangeNothing(t *testing.T) {
	w := newWorld(t)
	first := w.start(t)
	raw, err := base64.RawURLEncoding.DecodeString(first.Refresh)
	if err != nil || len(raw) != 64 {
		t.Fatalf("refresh token of %d bytes, %v; want 2×256 bits", len(raw), err)
	}
	wrongFamily := append([]byte{raw[0] ^ 1}, raw[1:]...)
	for name, compact := range map[string]string{
		"empty":        "",
		"no base64":    "%%%",
		"half":         first.Refresh[:43],
		"longer":       first.Refresh + "AA",
		"padded":       first.Refresh + "==",
		"line break":   first.Refresh[:10] + "\n" + first.Refresh[10:],
		"wrong family": base64.RawURLEncoding.EncodeToString(wrongFamily),
		"access token": first.Access,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Refresh(refresh(t.Context()), compact)
			refused(t, err)
		})
	}
	if _, err := w.Refresh(refresh(t.Context()), first.Refresh); err != nil {
		t.Fatalf("the real token after the forged ones: %v", err)
	}
}

func TestSessionsEndByAgeAndByDisuse(t *testing.T) { // R21
	t.Run("disuse", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.start(t)
		w.now = w.now.Add(time.Hour)
		_, err := w.Refresh(refresh(t.Context()), tokens.Refresh)
		refused(t, err)
	})
	t.Run("age", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.start(t)
		begin := w.now
		for w.now.Before(begin.Add(24*time.Hour - 30*time.Minute)) {
			w.now = w.now.Add(30 * time.Minute)
			next, err := w.Refresh(refresh(t.Context()), tokens.Refresh)
			if err != nil {
				t.Fatalf("after %s: %v", w.now.Sub(begin), err)
			}
			tokens = next
		}
		w.now = begin.Add(24*time.Hour - time.Minute)
		tokens, err := w.Refresh(refresh(t.Context()), tokens.Refresh)
		if err != nil || tokens.ExpiresIn != time.Minute || !w.claims(t, tokens.Access).ExpiresAt.Equal(begin.Add(24*time.Hour)) {
			t.Fatalf("just before the end: %v, %v; want an access token that ends with the session", tokens.ExpiresIn, err)
		}
		w.now = begin.Add(24 * time.Hour)
		_, err = w.Refresh(refresh(t.Context()), tokens.Refresh)
		refused(t, err)
	})
}

func TestEndRefusesRefreshAtOnce(t *testing.T) { // R22
	w := newWorld(t)
	tokens := w.start(t)
	sid := w.claims(t, tokens.Access).SessionID
	for range 2 {
		if err := w.End(postgrestest.Request(t.Context(), "auth.signed_out"), w.userID, sid); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.Refresh(refresh(t.Context()), tokens.Refresh)
	refused(t, err)
	if !w.ended(t)[sid] {
		t.Fatal("the session is not revoked")
	}
	w.now = w.now.Add(10*time.Minute + token.Leeway) // the last moment at which an access token passes
	if !w.ended(t)[sid] {
		t.Fatal("the revocation is forgotten while an access token still passes")
	}
	w.now = w.now.Add(time.Hour)
	if err := w.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.ended(t)) != 0 {
		t.Fatal("the revocation is kept for ever")
	}
}

// R22: the tokens of a session may be longer than those that whoever ends it hands out: the lifetime was lowered by a restart, or the
// instances differ. Its revocation, and until then the row that makes one, outlives the longest that may be configured.
func TestEndRevokesTokensOfALongerConfiguration(t *testing.T) {
	w := newWorld(t)
	short := w.Config
	short.AccessTTL, short.Idle = time.Minute, 2*time.Minute
	lowered := w.with(short, w.Signer)
	c := w.claims(t, w.start(t).Access)
	w.now = w.now.Add(5 * time.Minute)
	if err := lowered.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lowered.End(postgrestest.Request(t.Context(), "auth.signed_out"), w.userID, c.SessionID); err != nil {
		t.Fatal(err)
	}
	for w.now.Before(c.ExpiresAt.Add(token.Leeway)) {
		if err := lowered.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !w.ended(t)[c.SessionID] {
			t.Fatalf("%s before the token expires its session is not revoked any more", c.ExpiresAt.Sub(w.now))
		}
		w.now = w.now.Add(30 * time.Second)
	}
}

func TestStartOfARemovedLogin(t *testing.T) {
	w := newWorld(t)
	if err := w.logins.Remove(t.Context(), w.userID, w.now.Add(time.Hour), postgrestest.Event("auth.login_removed")); err != nil {
		t.Fatal(err)
	}
	attempt := postgrestest.Event("auth.signed_in")
	attempt.ObjectID = w.userID
	_, err := w.Start(t.Context(), w.proof("", attempt))
	if apierr.From(err).Reason != "INVALID_CREDENTIALS" {
		t.Fatalf("Start = %v, want INVALID_CREDENTIALS", err)
	}
	if e, ok := event.AttemptOf(err); !ok || !reflect.DeepEqual(e, attempt) { // R66: the refusal is of that attempt
		t.Errorf("what is recorded of the refusal: %+v, want %+v", e, attempt)
	}
}

// R22: whoever was proven by a password that is another one by now is signed in nowhere, however
// late the session begins.
func TestNobodyIsSignedInByAPasswordOfBefore(t *testing.T) {
	w := newWorld(t)
	b, attempt := w.browsers(), postgrestest.Event("auth.signed_in")
	cookie, _ := w.begin(t, b, "")
	err := w.logins.ChangePassword(t.Context(), login.NewHash{
		UserID: w.userID, Old: "$hash", Hash: "$new", Keep: w.browser(t, b, cookie).ID, Time: w.now, RevokedUntil: w.now.Add(time.Hour),
	}, postgrestest.Event("auth.password_changed"))
	if err != nil {
		t.Fatal(err)
	}
	begins := map[string]func(session.Proof) error{
		"a session": func(p session.Proof) error {
			_, err := w.Start(t.Context(), p)
			return err
		},
		"a browser's": func(p session.Proof) error {
			_, _, err := b.Begin(t.Context(), p)
			return err
		},
		"one in the place of the browser's": func(p session.Proof) error {
			p.Cookie = cookie
			_, _, err := b.Begin(t.Context(), p)
			return err
		},
	}
	for name, begin := range begins {
		if err := begin(w.proof("$hash", attempt)); apierr.From(err).Reason != "INVALID_CREDENTIALS" {
			t.Errorf("%s by the old password: %v", name, err)
		}
	}
	w.browser(t, b, cookie)
	for name, begin := range begins {
		if err := begin(w.proof("$new", attempt)); err != nil {
			t.Errorf("%s by the new one: %v", name, err)
		}
	}
}

// browser is the session of a cookie.
func (w *world) browser(t *testing.T, b *session.Browsers, cookie string) session.Browser {
	t.Helper()
	found, err := b.Find(t.Context(), cookie)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
