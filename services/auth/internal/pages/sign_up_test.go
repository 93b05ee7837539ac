package pages_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

func TestSignUp(t *testing.T) {
	w := newWorld(t, 100)
	b := w.browser()
	b.get(t, "/sign-in").says(t, http.StatusOK, `href="/sign-up"`)
	b.get(t, "/sign-up").says(t, http.StatusOK, `autocomplete="new-password"`, `autocomplete="name"`)
	b.post(t, "/sign-up", "display_name", "Ada <3", "email", email, "password", pass, "repeat", pass).leads(t, "/account")
	b.get(t, "/sign-in").says(t, http.StatusOK, "Signed in as ada@example.com")
	var actions []string
	for _, e := range w.Recorded(t)[1:] {
		actions = append(actions, e.Action)
		if e.Outcome != event.Success || e.Actor.ID == "" || e.Actor.ID != e.ObjectID || len(e.Changes) == 0 || !e.Changes[0].Personal {
			t.Errorf("recorded: %+v", e) // R66
		}
	}
	if len(actions) != 2 || actions[1] != "auth.signed_in" {
		t.Errorf("recorded: %v, want the sign-up and the sign-in", actions)
	}
}

func TestRefusedSignUps(t *testing.T) {
	w := newWorld(t, 100)
	w.signedUp(t, "bob@example.com")
	for name, c := range map[string]struct {
		name, email, password, repeat string
		status                        int
		says                          string
	}{
		"nothing":         {"", "", "", "", http.StatusBadRequest, `<p class="wrong" id="email-wrong">Enter your email address.</p>`},
		"no address":      {"Ada", "ada", pass, pass, http.StatusBadRequest, "Enter an email address, such as"},
		"not ASCII":       {"Ada", "ädä@example.com", pass, pass, http.StatusBadRequest, "Enter an email address, such as"},
		"a short one":     {"Ada", email, "short", "short", http.StatusBadRequest, "Use at least 15 characters."},
		"not the same":    {"Ada", email, pass, pass + "!", http.StatusBadRequest, `<p class="wrong" id="repeat-wrong">The two passwords are not the same.</p>`},
		"the address":     {"Ada", email, email + email, email + email, http.StatusBadRequest, "Do not use your address"},
		"a sequence":      {"Ada", email, "123456789012345", "123456789012345", http.StatusBadRequest, "Do not use a sequence"},
		"a long name":     {string(make([]rune, 201)), email, pass, pass, http.StatusBadRequest, `id="display_name-wrong"`},
		"a taken address": {"Bob", "Bob@example.com", pass, pass, http.StatusConflict, "There is an account with this address already."},
	} {
		b := w.browser()
		a := b.post(t, "/sign-up", "display_name", c.name, "email", c.email, "password", c.password, "repeat", c.repeat)
		t.Run(name, func(t *testing.T) { a.says(t, c.status, "Error: ", c.says, `aria-invalid="true" autofocus>`) })
		if b.cookie != "" {
			t.Errorf("%s: signed in", name)
		}
	}
	w.identity.fail = unavailable
	w.browser().post(t, "/sign-up", "email", email, "password", pass, "repeat", pass).says(t, http.StatusServiceUnavailable, "Your account is being created.", `value="ada@example.com"`)
	w.identity.fail = nil
	w.browser().post(t, "/sign-up", "email", email, "password", pass, "repeat", pass).leads(t, "/account")
}

// Where people may not sign up, no page offers it, and the form is refused.
func TestClosedSignUp(t *testing.T) {
	w := newWorld(t, 100)
	w.params.SignUps = login.SignUpsClosed
	w.serve(t)
	b := w.browser()
	if page := b.get(t, "/sign-in").page; contains(page, "/sign-up") {
		t.Errorf("it is offered:\n%s", page)
	}
	b.get(t, "/sign-up").says(t, http.StatusForbidden, "Accounts are not made here.")
	b.post(t, "/sign-up", "email", email, "password", pass, "repeat", pass).says(t, http.StatusForbidden, "Accounts are not made here.")
	b.post(t, "/sign-in", "email", email, "password", pass).says(t, http.StatusUnauthorized)
}

// What was asked for before somebody made an account goes on afterwards.
func TestSignUpGoesOnToTheClient(t *testing.T) {
	w := newWorld(t, 100)
	to := w.authorize(callback)
	b := w.browser()
	b.get(t, "/sign-in?return_to="+url.QueryEscape(to)).says(t, http.StatusOK, `href="/sign-up?return_to=%2Foauth2%2Fauthorize`)
	b.post(t, "/sign-up", "email", email, "password", pass, "repeat", pass, "return_to", to).leads(t, to)
}
