package pages_test

import (
	"net/http"
	"strings"
	"testing"
)

// R22, R25: looking at the page signs nobody out, its form does, and the cookie is worth nothing
// afterwards.
func TestSignOut(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.get(t, "/sign-out").says(t, http.StatusOK, "Signed out")
	b.signIn(t, email)
	old := b.cookie
	b.get(t, "/sign-out").says(t, http.StatusOK, "Sign out?", "ada@example.com", `<form method="post" action="/sign-out">`)
	b.get(t, "/sign-in").says(t, http.StatusOK, "Signed in as")
	out := b.post(t, "/sign-out")
	out.leads(t, "/sign-out")
	if c := out.Header().Get("Set-Cookie"); !strings.HasPrefix(c, "__Host-gatehouse=; Max-Age=0;") {
		t.Errorf("the cookie is %q", c)
	}
	b.cookie = old
	b.get(t, "/sign-out").says(t, http.StatusOK, "Signed out")
	b.get(t, "/account").leads(t, "/sign-in")
	b.post(t, "/sign-out").leads(t, "/sign-out") // again, from a second tab
	events := w.Recorded(t)
	if last := events[len(events)-1]; last.Actor.ID == "" || len(events) != 4 {
		t.Errorf("%d events, the last %+v; want the client, the sign-up, the sign-in and the sign-out", len(events), last) // R66
	}
}

// What the provider says to people is text on a page of ours.
func TestPagesOfTheProvider(t *testing.T) {
	w := newWorld(t, 100)
	for name, c := range map[string]struct {
		status int
		show   func(http.ResponseWriter, *http.Request)
		says   string
	}{
		"refused":    {http.StatusBadRequest, func(w2 http.ResponseWriter, r *http.Request) { w.Refused(w2, r, "the <redirect> is unknown") }, "the &lt;redirect&gt; is unknown"},
		"signed out": {http.StatusOK, w.SignedOut, "You are signed out of this browser."},
	} {
		a := record(c.show)
		if a.Code != c.status || !strings.Contains(a.page, c.says) {
			t.Errorf("%s: %d\n%s", name, a.Code, a.page)
		}
	}
}
