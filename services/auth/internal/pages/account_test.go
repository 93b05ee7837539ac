package pages_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

const newPass = "another horse in the battery"

// R23: people see where they are signed in, and end one session or all others.
func TestSessionsOfAPerson(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.signedUp(t, "bob@example.com")
	desk, phone, old, bob := w.browser(), w.browser(), w.browser(), w.browser()
	old.signIn(t, email)
	w.now = w.now.Add(50 * time.Minute)
	phone.header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1")
	phone.signIn(t, email)
	desk.signIn(t, email)
	bob.signIn(t, "bob@example.com")
	a := desk.get(t, "/account")
	a.says(t, http.StatusOK, email, "This browser", "Safari on iPhone", "203.0.113.7", "Signed in 50 min ago", `<a href="/sign-out">`)
	ids := regexp.MustCompile(`name="session" value="([^"]+)"`).FindAllStringSubmatch(a.page, -1)
	if len(ids) != 2 {
		t.Fatalf("%d sessions can be ended, want the two others:\n%s", len(ids), a.page)
	}
	at := slices.IndexFunc(ids, func(id []string) bool {
		return strings.Index(a.page, "Safari on iPhone") < strings.Index(a.page, id[1])
	})
	bob.post(t, "/account/sessions/end", "session", ids[at][1]).leads(t, "/account?done=ended") // R52: as one that does not exist
	phone.get(t, "/account").says(t, http.StatusOK, "This browser")
	desk.post(t, "/account/sessions/end", "session", ids[at][1]).leads(t, "/account?done=ended")
	phone.get(t, "/account").leads(t, "/sign-in")
	desk.get(t, "/account?done=ended").says(t, http.StatusOK, `role="status"`, "That session is signed out.")
	old.get(t, "/account").says(t, http.StatusOK, "This browser")
	desk.post(t, "/account/sessions/end-others").leads(t, "/account?done=others")
	old.get(t, "/account").leads(t, "/sign-in")
	desk.get(t, "/account?done=others").says(t, http.StatusOK, "You are signed in nowhere else.")
	bob.get(t, "/account").says(t, http.StatusOK, "bob@example.com")
	desk.post(t, "/account/sessions/end", "session", "x").says(t, http.StatusBadRequest, "That did not work")
	desk.post(t, "/account/sessions/end", "session", uuid.NewString()).leads(t, "/account?done=ended")
	for _, e := range w.Recorded(t)[len(w.Recorded(t))-2:] { // R66
		if e.Actor.ID == "" || e.Actor.SessionID == "" || e.ObjectID != e.Actor.ID {
			t.Errorf("recorded: %+v", e)
		}
	}
}

// R5, R22: who knows the password changes it, and is signed out everywhere else.
func TestChangePassword(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	desk, other := w.browser(), w.browser()
	desk.signIn(t, email)
	other.signIn(t, email)
	desk.get(t, "/.well-known/change-password").leads(t, "/account")
	for name, c := range map[string]struct {
		old, new, repeat string
		status           int
		says             string
	}{
		"nothing":      {"", "", "", http.StatusBadRequest, `<p class="wrong" id="old_password-wrong">Enter your password.</p>`},
		"wrong":        {"not the password at all", newPass, newPass, http.StatusUnauthorized, `<p class="wrong" id="old_password-wrong">This is not your current password.</p>`},
		"short":        {pass, "short", "short", http.StatusBadRequest, `<p class="wrong" id="new_password-wrong">Use at least 15 characters.</p>`},
		"not the same": {pass, newPass, pass, http.StatusBadRequest, `<p class="wrong" id="repeat-wrong">The two passwords are not the same.</p>`},
		"the address":  {pass, email + email, email + email, http.StatusBadRequest, `<p class="wrong" id="new_password-wrong">Do not use your address`},
	} {
		a := desk.post(t, "/account/password", "old_password", c.old, "new_password", c.new, "repeat", c.repeat)
		t.Run(name, func(t *testing.T) { a.says(t, c.status, "Error: ", c.says, "This browser") })
		if c.new != "" && strings.Contains(a.page, `value="`+c.new) {
			t.Errorf("%s: the page has the password", name)
		}
	}
	other.get(t, "/account").says(t, http.StatusOK, "This browser")
	thief := w.browser()
	thief.cookie = desk.cookie
	thief.get(t, "/account").says(t, http.StatusOK, "This browser")
	desk.post(t, "/account/password", "old_password", pass, "new_password", newPass, "repeat", newPass).leads(t, "/account?done=password")
	thief.get(t, "/account").leads(t, "/sign-in") // R20
	recorded := w.Recorded(t)
	changed, began := recorded[len(recorded)-2], recorded[len(recorded)-1]
	if changed.Action != "auth.password_changed" || began.Action != "auth.signed_in" || began.Actor.SessionID == changed.Actor.SessionID || len(began.Changes) != 0 {
		t.Errorf("recorded %+v and %+v, want the change and a session that begins", changed, began)
	}
	desk.get(t, "/account?done=password").says(t, http.StatusOK, "Your password is changed")
	other.get(t, "/account").leads(t, "/sign-in")
	other.post(t, "/sign-in", "email", email, "password", pass).says(t, http.StatusUnauthorized)
	other.post(t, "/sign-in", "email", email, "password", newPass).leads(t, "/account")
	other.header = http.Header{"Sec-Fetch-Site": {"cross-site"}} // R25
	other.post(t, "/account/password", "old_password", newPass, "new_password", pass, "repeat", pass).says(t, http.StatusForbidden)
	other.post(t, "/account/sessions/end-others").says(t, http.StatusForbidden)
	desk.get(t, "/account").says(t, http.StatusOK, email)
}

// Who is signed in nowhere changes nothing, also with forms of a page from before.
func TestFormsOfTheAccountNeedASession(t *testing.T) {
	w := newWorld(t, 100)
	b := w.browser()
	b.post(t, "/account/password", "old_password", pass, "new_password", newPass, "repeat", newPass).leads(t, "/sign-in")
	b.post(t, "/account/sessions/end", "session", uuid.NewString()).leads(t, "/sign-in")
	b.post(t, "/account/sessions/end-others").leads(t, "/sign-in")
	b.get(t, "/account").leads(t, "/sign-in")
}

// What a client says of itself is text, and short.
func TestDevices(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0":                                                              "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0":       "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36":               "Chrome on macOS",
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/29.0 Chrome/136.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
		"curl/8.5.0":                "curl",
		"<script>alert(1)</script>": "&lt;script&gt;alert(1)&lt;",
		"":                          "Unknown device",
	} {
		b := w.browser()
		b.header.Set("User-Agent", agent)
		b.signIn(t, email)
		if a := b.get(t, "/account"); !strings.Contains(a.page, ">"+want+" <span") {
			t.Errorf("%q is not shown as %q:\n%s", agent, want, a.page)
		}
	}
}

// overtaken are logins of which somebody changes the password in the moment after it was changed
// here.
type overtaken struct{ *login.Service }

func (o overtaken) ChangePassword(ctx context.Context, c login.PasswordChange) (login.Login, error) {
	l, err := o.Service.ChangePassword(ctx, c)
	if err == nil {
		_, err = o.Service.ChangePassword(ctx, login.PasswordChange{UserID: c.UserID, Old: c.New, New: c.New + "!", Event: c.Event})
	}
	return l, err
}

// Whose change of the password is overtaken by another one, such as a reset by the owner, is signed
// in nowhere (R22).
func TestAChangeThatAnotherOneOvertakes(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, email)
	b := w.browser()
	b.signIn(t, email)
	w.params.Logins = overtaken{w.logins}
	w.serve(t)
	b.post(t, "/account/password", "old_password", pass, "new_password", newPass, "repeat", newPass).leads(t, "/sign-in")
	b.get(t, "/account").leads(t, "/sign-in")
}
