package session_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

func (w *world) browsers() *session.Browsers {
	return session.NewBrowsers(session.BrowserParams{
		Config: session.BrowserConfig{Lifetime: 24 * time.Hour, Idle: time.Hour}, Store: w.Database.Browsers,
		NewID: uuid.NewString, Random: rand.Reader, Now: func() time.Time { return w.now }, Wake: func() { w.wakes.Add(1) },
	})
}

// begin signs the world's user in with a browser that shows a cookie, "" for none.
func (w *world) begin(t *testing.T, b *session.Browsers, cookie string) (string, session.Browser) {
	t.Helper()
	return w.beginAs(t, b, w.userID, cookie)
}

func (w *world) beginAs(t *testing.T, b *session.Browsers, userID, cookie string) (string, session.Browser) {
	t.Helper()
	attempt := postgrestest.Event("auth.signed_in")
	attempt.ClientAddress, attempt.ClientAgent = "203.0.113.7", "Mozilla/5.0"
	value, begun, err := b.Begin(t.Context(), session.Proof{
		UserID: userID, OrganizationID: w.org, AMR: []string{"pwd"}, Cookie: cookie, Attempt: attempt,
	})
	if err != nil {
		t.Fatal(err)
	}
	return value, begun
}

// another makes a second active login.
func (w *world) another(t *testing.T) string {
	t.Helper()
	id, signedUp := uuid.NewString(), postgrestest.Event("auth.signed_up")
	if _, _, err := w.logins.Reserve(t.Context(), login.Login{UserID: id, Email: "bob@example.com", PasswordHash: "$hash"}, signedUp, w.now, w.now); err != nil {
		t.Fatal(err)
	}
	if _, err := w.logins.Activate(t.Context(), login.NewActivation(signedUp, id, w.org), w.now); err != nil {
		t.Fatal(err)
	}
	return id
}

// gone checks that a cookie is worth nothing.
func gone(t *testing.T, b *session.Browsers, what, cookie string) {
	t.Helper()
	if _, err := b.Find(t.Context(), cookie); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

func TestCookieFindsItsSession(t *testing.T) {
	w := newWorld(t)
	b := w.browsers()
	cookie, begun := w.begin(t, b, "")
	found, err := b.Find(t.Context(), cookie)
	if err != nil || found.ID != begun.ID || found.UserID != w.userID || found.OrganizationID != w.org ||
		!found.AuthTime.Equal(w.now) || !slices.Equal(found.AMR, []string{"pwd"}) || !found.ExpireTime.Equal(w.now.Add(24*time.Hour)) {
		t.Fatalf("found %+v, %v", found, err)
	}
	if found.From.Address != "203.0.113.7" || found.From.Agent != "Mozilla/5.0" { // R90
		t.Errorf("it is from %+v", found.From)
	}
	for name, wrong := range map[string]string{
		"empty": "", "not base64": "%%%", "cut": cookie[:40], "longer": cookie + "A", "padded": cookie + "=", "its id": begun.ID,
		"line break": cookie[:10] + "\n" + cookie[10:], "another secret": strings.Repeat("A", 43),
	} {
		gone(t, b, name, wrong)
	}
}

// R20: whoever planted a cookie before a sign-in, or kept one from before another, has nothing
// afterwards.
func TestCookieIsNewAtEachAuthentication(t *testing.T) {
	w := newWorld(t)
	b := w.browsers()
	planted := strings.Repeat("A", 43) // chosen by an attacker
	first, one := w.begin(t, b, planted)
	if first == planted {
		t.Fatal("the cookie that the browser showed is kept")
	}
	gone(t, b, "the planted cookie", planted)
	w.now = w.now.Add(10 * time.Minute)
	second, two := w.begin(t, b, first)
	gone(t, b, "the cookie of before", first)
	if _, err := b.Find(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if one.ID != two.ID || !two.AuthTime.Equal(w.now) || !two.ExpireTime.Equal(w.now.Add(24*time.Hour)) || !two.CreateTime.Equal(one.CreateTime) {
		t.Errorf("the session of the same person was %+v and is %+v, want it to go on", one, two)
	}
	third, three := w.beginAs(t, b, w.another(t), second)
	gone(t, b, "the cookie of somebody else", second)
	if found, err := b.Find(t.Context(), third); err != nil || found.UserID == w.userID || three.ID == two.ID {
		t.Errorf("found %+v, %v, want a session of its own", found, err)
	}
	events := w.Recorded(t)
	i := slices.IndexFunc(events, func(e event.Event) bool { return e.Action == "auth.session_ended" })
	if i < 0 || events[i].ObjectID != w.userID || events[i].Actor.ID == w.userID || !hasCause(events[i], "SIGNED_IN_AS_ANOTHER") {
		t.Errorf("events = %+v, want the end of the other session by somebody unknown", events)
	}
}

func hasCause(e event.Event, cause string) bool {
	return slices.ContainsFunc(e.Changes, func(c event.Change) bool { return c.Field == "cause" && string(c.Value) == `"`+cause+`"` })
}

func TestBrowserSessionsEndByAgeAndByDisuse(t *testing.T) { // R21
	w := newWorld(t)
	b := w.browsers()
	cookie, begun := w.begin(t, b, "")
	for w.now.Before(begun.ExpireTime.Add(-45 * time.Minute)) {
		w.now = w.now.Add(45 * time.Minute)
		if _, err := b.Find(t.Context(), cookie); err != nil {
			t.Fatalf("in use, after %s: %v", w.now.Sub(begun.CreateTime), err)
		}
	}
	w.now = begun.ExpireTime
	gone(t, b, "as old as it may be", cookie)
	idle, _ := w.begin(t, b, cookie)
	w.now = w.now.Add(time.Hour)
	gone(t, b, "unseen for as long as it may be", idle)
	if err := b.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := w.Pool.QueryRow(t.Context(), `select count(*) from auth.browser_sessions`).Scan(&left); err != nil || left != 0 {
		t.Fatalf("%d sessions are left, %v", left, err)
	}
}

func TestEndOfABrowserSession(t *testing.T) { // R22
	w := newWorld(t)
	b := w.browsers()
	cookie, begun := w.begin(t, b, "")
	other, _ := w.begin(t, b, "")
	out := postgrestest.Request(t.Context(), "auth.signed_out")
	for range 2 {
		if err := b.End(out, begun); err != nil {
			t.Fatal(err)
		}
	}
	gone(t, b, "the ended session", cookie)
	if _, err := b.Find(t.Context(), other); err != nil {
		t.Errorf("another browser of the person: %v", err)
	}
	if w.wakes.Load() == 0 {
		t.Error("the feed was not woken")
	}
	events := w.Recorded(t)
	last := events[len(events)-1]
	if last.Action != "auth.signed_out" || last.Actor.ID != w.userID || last.Actor.SessionID != begun.ID || last.ObjectID != w.userID ||
		events[len(events)-2].Action != "auth.signed_in" {
		t.Errorf("events = %+v, want one sign-out by the person", events)
	}
}

func TestBeginForARemovedLogin(t *testing.T) {
	w := newWorld(t)
	if err := w.logins.Remove(t.Context(), w.userID, w.now.Add(time.Hour), postgrestest.Event("auth.login_removed")); err != nil {
		t.Fatal(err)
	}
	_, _, err := w.browsers().Begin(t.Context(), session.Proof{UserID: w.userID, OrganizationID: w.org, Attempt: postgrestest.Event("auth.signed_in")})
	if apierr.From(err).Reason != "INVALID_CREDENTIALS" {
		t.Fatalf("Begin = %v, want INVALID_CREDENTIALS", err)
	}
}

// R22: whoever is deleted is signed in nowhere.
func TestRemovalEndsBrowserSessions(t *testing.T) {
	w := newWorld(t)
	b := w.browsers()
	cookie, _ := w.begin(t, b, "")
	if err := w.logins.Remove(t.Context(), w.userID, w.now.Add(time.Hour), postgrestest.Event("auth.login_removed")); err != nil {
		t.Fatal(err)
	}
	gone(t, b, "a removed person's session", cookie)
}

func TestCookieAttributes(t *testing.T) { // R24
	w := newWorld(t)
	value, begun := w.begin(t, w.browsers(), "")
	for name, header := range map[string]string{"handed out": session.Cookie(value, begun), "taken away": session.NoCookie()} {
		c, err := http.ParseSetCookie(header)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" ||
			len(header) > 4096 {
			t.Errorf("%s: %s", name, header)
		}
		if name == "handed out" && (c.Value != value || c.MaxAge != 24*60*60) || name == "taken away" && (c.Value != "" || c.MaxAge >= 0) {
			t.Errorf("%s: value %q for %d s", name, c.Value, c.MaxAge)
		}
	}
	if len(value) < 22 { // R20: 128 bits in base64url
		t.Errorf("the cookie %q is too short", value)
	}
}
