package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// enrolled gives a person an authenticator, a minute ago.
func (w *world) enrolled(t *testing.T, address string) (secret string, codes []string) {
	t.Helper()
	l, err := w.Logins.ByEmail(t.Context(), address)
	check.NoError(t, err)
	e, err := w.factors.Offer(t.Context(), l.UserID)
	check.NoError(t, err)
	codes, err = w.factors.Confirm(t.Context(), factor.Change{UserID: l.UserID, Event: postgrestest.Event("auth.totp_enrolled")}, e.Token, w.code(t, e.Secret))
	check.NoError(t, err)
	w.now = w.now.Add(time.Minute)
	return e.Secret, codes
}

func TestSignInWithACode(t *testing.T) { // R13
	w := newWorld(t, 100)
	w.proven(t, email)
	secret, codes := w.enrolled(t, email)
	b := w.browser()
	b.get(t, "/sign-in/code").leads(t, "/sign-in")
	asked := b.post(t, "/sign-in", "email", email, "password", pass)
	asked.leads(t, "/sign-in/code")
	if cookies := asked.Header().Values("Set-Cookie"); len(cookies) != 1 || !strings.HasPrefix(cookies[0], "__Host-gatehouse-challenge=") ||
		!strings.Contains(cookies[0], "; Max-Age=300; Path=/; Secure; HttpOnly; SameSite=Lax") {
		t.Fatalf("cookies of a challenge: %q", cookies) // R24: and no session
	}
	b.get(t, "/account").leads(t, "/sign-in")
	b.get(t, "/sign-in/code").says(t, http.StatusOK, `action="/sign-in/code"`, `autocomplete="one-time-code"`, "authenticator app")
	b.post(t, "/sign-in/code", "code", "000000").says(t, http.StatusUnauthorized, "This code is wrong")
	b.get(t, "/account").leads(t, "/sign-in")
	code := w.code(t, secret)
	b.post(t, "/sign-in/code", "code", code[:3]+" "+code[3:]).leads(t, "/account")
	if b.challenge != "" || b.device == nil || b.cookie == "" {
		t.Errorf("challenge %q, device %v, session %q", b.challenge, b.device, b.cookie)
	}
	b.get(t, "/account").says(t, http.StatusOK, email)
	other := w.browser()
	other.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	other.post(t, "/sign-in/code", "code", code).says(t, http.StatusUnauthorized, "was used")
	a := other.post(t, "/sign-in/code", "recovery_code", "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA")
	a.says(t, http.StatusUnauthorized, "<details open>", `<p class="wrong" id="recovery_code-wrong">This code is wrong`, `<a href="#recovery_code">`)
	other.post(t, "/sign-in/code", "recovery_code", strings.ToLower(codes[0])).leads(t, "/account")
	third := w.browser()
	third.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	third.post(t, "/sign-in/code", "recovery_code", codes[0]).says(t, http.StatusUnauthorized, "was used")
	third.post(t, "/sign-in/code", "code", codes[1]).leads(t, "/account") // whichever of the two fields it is
}

// Every step out of order is refused, and changes nothing: without a challenge, with a token that
// is none, with the one of an enrolment, and with somebody else's code.
func TestCodeStepsOutOfOrder(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	w.proven(t, "bob@example.com")
	secret, codes := w.enrolled(t, email)
	bob := w.browser()
	bob.signIn(t, "bob@example.com")
	_, enrolment := bob.get(t, "/account/authenticator").enrolmentOn(t)
	w.Unchanged(t, "without a challenge", func() {
		for _, token := range []string{"", "x", enrolment, strings.Repeat("A", 2000)} {
			b := w.browser()
			b.challenge = token
			b.get(t, "/sign-in/code").leads(t, "/sign-in")
			for _, form := range [][]string{nil, {"code", w.code(t, secret)}, {"recovery_code", codes[0]}} {
				b.post(t, "/sign-in/code", form...).says(t, http.StatusUnauthorized, `action="/sign-in"`)
			}
			if b.cookie != "" {
				t.Errorf("%q signs in", token)
			}
		}
	})
	b := w.browser()
	b.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	w.Unchanged(t, "looking at the page", func() {
		for range 3 {
			b.get(t, "/sign-in/code").says(t, http.StatusOK, `inputmode="numeric"`, "<details>")
		}
	})
	w.Unchanged(t, "a challenge as an enrolment", func() {
		bob.post(t, "/account/authenticator", "enrolment", b.challenge, "code", w.code(t, secret)).says(t, http.StatusBadRequest, "That took too long")
	})
	w.Unchanged(t, "no code", func() { b.post(t, "/sign-in/code").says(t, http.StatusUnauthorized, "This code is wrong") })
	b.post(t, "/sign-in/code", "code", w.code(t, secret)).leads(t, "/account")
}

// What an application has sent a person for stays through the code.
func TestCodesLeadOn(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	secret, _ := w.enrolled(t, email)
	b := w.browser()
	const to = "/account?done=confirmed"
	asked := b.post(t, "/sign-in", "email", email, "password", pass, "return_to", to)
	location := asked.Header().Get("Location")
	if !strings.HasPrefix(location, "/sign-in/code?return_to=") {
		t.Fatalf("it leads to %s", location)
	}
	b.get(t, location).says(t, http.StatusOK, `name="return_to"`)
	b.post(t, "/sign-in/code", "code", w.code(t, secret), "return_to", to).leads(t, to)
	b.post(t, "/sign-in/code", "code", w.code(t, secret), "return_to", "https://evil.example/").says(t, http.StatusBadRequest)
}

// A challenge ends with its time and with the password that it was for; then the password is asked
// for again.
func TestChallengesThatAreOver(t *testing.T) { // R13
	w := newWorld(t, 100)
	w.proven(t, email)
	secret, _ := w.enrolled(t, email)
	late, changed := w.browser(), w.browser()
	late.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	w.now = w.now.Add(factor.ChallengeLasts)
	late.get(t, "/sign-in/code").leads(t, "/sign-in")
	late.post(t, "/sign-in/code", "code", w.code(t, secret)).says(t, http.StatusUnauthorized, `action="/sign-in"`, "That took too long")
	changed.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	l, err := w.Logins.ByEmail(t.Context(), email)
	check.NoError(t, err)
	check.NoError(t, w.Logins.ChangePassword(t.Context(), login.NewHash{UserID: l.UserID, Old: l.PasswordHash, Hash: "$new", Time: w.now, RevokedUntil: w.now},
		postgrestest.Event("auth.password_changed")))
	changed.post(t, "/sign-in/code", "code", w.code(t, secret)).says(t, http.StatusUnauthorized, "Sign in again")
	if late.cookie != "" || changed.cookie != "" {
		t.Error("a session has begun")
	}
}

// Who must have a second factor sets one up while signing in, and sees the recovery codes once.
func TestSettingUpAtSignIn(t *testing.T) { // R13
	w := newWorld(t, 100)
	w.proven(t, email)
	l, err := w.Logins.ByEmail(t.Context(), email)
	check.NoError(t, err)
	check.NoError(t, w.Factors.SetPolicy(t.Context(), factor.Policy{OrganizationID: l.OrganizationID, SecondFactorRequired: true, UpdateTime: w.now},
		postgrestest.Event("auth.sign_in_policy_set")))
	b := w.browser()
	b.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	c, err := w.factors.Asked(t.Context(), b.challenge)
	check.NoError(t, err)
	link := "secret=" + c.Enrolment.Secret
	b.get(t, "/sign-in/code").says(t, http.StatusOK, link, "Your organization requires it")
	b.post(t, "/sign-in/code", "code", "000000").says(t, http.StatusUnauthorized, link, "This code is wrong")
	done := b.post(t, "/sign-in/code", "code", w.code(t, c.Enrolment.Secret))
	done.says(t, http.StatusOK, "Your recovery codes", `href="/account"`)
	if n := strings.Count(done.page, "<li>"); n != 10 || b.cookie == "" {
		t.Errorf("%d codes, session %q", n, b.cookie)
	}
	b.get(t, "/account").says(t, http.StatusOK, email)
}

// A changed password keeps what else the person was proven by.
func TestPasswordChangeKeepsTheFactor(t *testing.T) { // R13
	w := newWorld(t, 100)
	w.proven(t, email)
	secret, _ := w.enrolled(t, email)
	b := w.browser()
	b.post(t, "/sign-in", "email", email, "password", pass).leads(t, "/sign-in/code")
	b.post(t, "/sign-in/code", "code", w.code(t, secret)).leads(t, "/account")
	const other = "another horse battery staple"
	b.post(t, "/account/password", "old_password", pass, "new_password", other, "repeat", other).leads(t, "/account?done=password")
	var amr string
	check.NoError(t, w.Pool.QueryRow(t.Context(), `select array_to_string(amr, ' ') from auth.browser_sessions`).Scan(&amr))
	if amr != "pwd otp mfa" {
		t.Errorf("the session is of %q", amr)
	}
}
