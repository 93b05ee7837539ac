package pages_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

var (
	keyForm      = regexp.MustCompile(`<p class="key" translate="no">([A-Z2-7 ]+)</p>`)
	tokenForm    = regexp.MustCompile(`name="enrolment" value="([^"]+)"`)
	recoveryForm = regexp.MustCompile(`<li>([A-Z2-7-]{29})</li>`)
)

// enrolmentOn is what a page offers: the key, and the token of the form.
func (a answer) enrolmentOn(t *testing.T) (key, token string) {
	t.Helper()
	k, f := keyForm.FindStringSubmatch(a.page), tokenForm.FindStringSubmatch(a.page)
	if k == nil || f == nil {
		t.Fatalf("no key or no token:\n%s", a.page)
	}
	return strings.ReplaceAll(k[1], " ", ""), f[1]
}

// recoveryCodesOn are those that a page shows.
func (a answer) recoveryCodesOn(t *testing.T) []string {
	t.Helper()
	var codes []string
	for _, found := range recoveryForm.FindAllStringSubmatch(a.page, -1) {
		codes = append(codes, found[1])
	}
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes:\n%s", len(codes), a.page)
	}
	return codes
}

// code is what the authenticator with a key shows now.
func (w *world) code(t *testing.T, key string) string {
	t.Helper()
	text, err := totp.GenerateCode(key, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// another is a code that the authenticator does not show.
func another(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return string(code[0]+1) + code[1:]
}

// enrolled enrols an authenticator, and lets the step of its code pass.
func (b *browser) enrolled(t *testing.T) (key string, codes []string) {
	t.Helper()
	key, form := b.get(t, "/account/authenticator").enrolmentOn(t)
	a := b.post(t, "/account/authenticator", "enrolment", form, "code", b.world.code(t, key))
	a.says(t, http.StatusOK, "Your recovery codes")
	b.world.now = b.world.now.Add(time.Minute)
	return key, a.recoveryCodesOn(t)
}

// People enrol an authenticator, see recovery codes once, make others, and remove all of it.
func TestEnrolAndRemove(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	b, other := w.browser(), w.browser()
	b.signIn(t, email)
	other.signIn(t, email)
	b.get(t, "/account").says(t, http.StatusOK, "Two-step sign-in", `href="/account/authenticator"`, "Set up an authenticator app")
	key, form := b.get(t, "/account/authenticator").enrolmentOn(t)
	a := b.post(t, "/account/authenticator", "enrolment", form, "code", another(w.code(t, key)))
	a.says(t, http.StatusUnauthorized, "Error: ", `<p class="wrong" id="code-wrong">This code is wrong`)
	if again, same := a.enrolmentOn(t); again != key || same != form {
		t.Errorf("after a wrong code the page offers another key")
	}
	a = b.post(t, "/account/authenticator", "enrolment", form, "code", " "+w.code(t, key)+" ")
	a.says(t, http.StatusOK, "Your recovery codes", "shown this once", `href="/account"`)
	first := a.recoveryCodesOn(t)
	b.get(t, "/account").says(t, http.StatusOK, "Recovery codes left: 10.", "Turn off", "Use another authenticator app")
	other.get(t, "/account").leads(t, "/sign-in") // it was not proven by the second factor
	a = b.post(t, "/account/recovery-codes")
	a.says(t, http.StatusOK, "Your recovery codes")
	for _, code := range a.recoveryCodesOn(t) {
		if slices.Contains(first, code) {
			t.Errorf("%s is shown twice", code)
		}
	}
	b.post(t, "/account/authenticator/remove").leads(t, "/account?done=factor_removed")
	b.get(t, "/account?done=factor_removed").says(t, http.StatusOK, "Two-step sign-in is off.", "Set up an authenticator app")
	told := w.office.Read(t, w.Mails)
	if len(told) != 3 { // R17
		t.Errorf("told: %+v", told)
	}
}

// R17: the notices and pages are in the person's language.
func TestEnrolInGerman(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	b := w.browser()
	b.header.Set("Accept-Language", "de")
	b.signIn(t, email)
	b.get(t, "/account").says(t, http.StatusOK, "Anmeldung in zwei Schritten", "Authenticator-App einrichten")
	a := b.get(t, "/account/authenticator")
	a.says(t, http.StatusOK, "Scannen Sie dies", "Code, den die App jetzt zeigt")
	key, form := a.enrolmentOn(t)
	b.post(t, "/account/authenticator", "enrolment", form, "code", w.code(t, key)).says(t, http.StatusOK, "Ihre Wiederherstellungscodes", "nur dieses eine Mal")
	if told := w.office.Read(t, w.Mails); len(told) != 1 || told[0].Language != "de" {
		t.Errorf("told: %+v", told)
	}
}

// Every step out of order is refused, and changes nothing.
func TestFactorStepsOutOfOrder(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	w.proven(t, "bob@example.com")
	b, bob := w.browser(), w.browser()
	bob.signIn(t, "bob@example.com")
	bobsKey, bobsForm := bob.get(t, "/account/authenticator").enrolmentOn(t)
	posts := map[string][]string{
		"/account/authenticator": {"enrolment", bobsForm, "code", w.code(t, bobsKey)}, "/account/recovery-codes": nil, "/account/authenticator/remove": nil,
	}
	w.Unchanged(t, "without a sign-in", func() {
		b.get(t, "/account/authenticator").leads(t, "/sign-in")
		for path, form := range posts {
			b.post(t, path, form...).leads(t, "/sign-in")
		}
	})
	b.signIn(t, email)
	w.Unchanged(t, "without a form, or with somebody else's", func() {
		b.post(t, "/account/authenticator").says(t, http.StatusBadRequest, "That took too long")
		b.post(t, "/account/authenticator", "enrolment", "x", "code", "123456").says(t, http.StatusBadRequest, "That took too long")
		a := b.post(t, "/account/authenticator", "enrolment", bobsForm, "code", w.code(t, bobsKey))
		a.says(t, http.StatusBadRequest, "That took too long")
		if key, form := a.enrolmentOn(t); key == bobsKey || form == bobsForm {
			t.Error("it shows somebody else's key")
		}
		b.post(t, "/account/recovery-codes").leads(t, "/account") // there is no factor
		b.post(t, "/account/authenticator/remove").leads(t, "/account?done=factor_removed")
	})
	key, form := b.get(t, "/account/authenticator").enrolmentOn(t)
	w.now = w.now.Add(token.FreshFor + time.Second)
	w.Unchanged(t, "a while after the sign-in", func() {
		b.get(t, "/account/authenticator").leads(t, "/sign-in?return_to=%2Faccount%2Fauthenticator")
		for path := range posts {
			b.post(t, path, "enrolment", form, "code", w.code(t, key)).leads(t, "/sign-in?return_to=%2Faccount%3Fdone%3Drepeat")
		}
	})
	b.post(t, "/sign-in", "email", email, "password", pass, "return_to", "/account/authenticator").leads(t, "/account/authenticator")
	b.post(t, "/account/authenticator", "enrolment", form, "code", w.code(t, key)).says(t, http.StatusOK, "Your recovery codes")
	w.Unchanged(t, "the same form again", func() { // such as by a reload
		b.post(t, "/account/authenticator", "enrolment", form, "code", w.code(t, key)).says(t, http.StatusBadRequest, "That took too long")
	})
	_, late := b.get(t, "/account/authenticator").enrolmentOn(t)
	w.now = w.now.Add(16 * time.Minute)
	b = w.browser() // who proves anew
	bob.get(t, "/account/authenticator").leads(t, "/sign-in?return_to=%2Faccount%2Fauthenticator")
	w.Unchanged(t, "a form of yesterday", func() {
		b.post(t, "/account/authenticator", "enrolment", late, "code", w.code(t, key)).leads(t, "/sign-in")
	})
}

// An organization's requirement keeps the factor, whatever form is sent.
func TestRequiredFactorStays(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	b := w.browser()
	b.signIn(t, email)
	b.enrolled(t)
	if _, err := w.factors.SetPolicy(postgrestest.Request(t.Context(), "auth.sign_in_policy_set"), factor.Policy{OrganizationID: organization, SecondFactorRequired: true}); err != nil {
		t.Fatal(err)
	}
	a := b.get(t, "/account")
	a.says(t, http.StatusOK, "Your organization requires it.", "Use another authenticator app")
	if strings.Contains(a.page, "Turn off") {
		t.Errorf("it can be turned off:\n%s", a.page)
	}
	b.post(t, "/account/authenticator/remove").leads(t, "/account?done=factor_kept")
	b.get(t, "/account?done=factor_kept").says(t, http.StatusOK, "Two-step sign-in stays on", "Recovery codes left: 10.")
	b.enrolled(t) // another one takes its place
}

// R25: no form of any page is taken from another site, whoever is signed in, and nothing changes.
func TestEveryFormOfAnotherSite(t *testing.T) {
	w := newWorld(t, 100)
	w.proven(t, email)
	b := w.browser()
	b.signIn(t, email)
	posts := 0
	for route := range routes() {
		method, path, _ := strings.Cut(route, " ")
		if method != http.MethodPost {
			continue
		}
		posts++
		w.Unchanged(t, path, func() {
			for _, header := range []http.Header{{"Sec-Fetch-Site": {"cross-site"}}, {"Origin": {"https://evil.example"}}, {}} {
				b.header = header
				b.post(t, path, "email", email, "password", pass, "session", uuid.NewString(), "code", "123456").says(t, http.StatusForbidden)
			}
		})
	}
	if posts < 9 {
		t.Errorf("only %d forms", posts)
	}
}
