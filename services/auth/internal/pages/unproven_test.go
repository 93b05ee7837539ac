package pages_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// Who has not proven the address is led to do that before they set up an authenticator.
func TestSettingUpAsksForAProvenAddress(t *testing.T) { // R15
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	b := w.browser()
	b.signIn(t, email)
	a := b.get(t, "/account")
	a.says(t, http.StatusOK, `<a href="#address">Confirm your address first.</a>`, `id="address"`)
	if contains(a.page, "/account/authenticator") {
		t.Errorf("the page leads on to what is refused:\n%s", a.page)
	}
	w.Unchanged(t, "an unproven address", func() {
		b.get(t, "/account/authenticator").says(t, http.StatusBadRequest, "Confirm your address first", email, `action="/account/email/verify"`)
		b.post(t, "/account/authenticator", "enrolment", "x", "code", "123456").says(t, http.StatusBadRequest, "Confirm your address first")
	})
	b.post(t, "/account/email/verify").leads(t, "/account?done=verify")
	b.post(t, "/verify-email", "code", hiddenCode.FindStringSubmatch(b.get(t, w.link(t)).page)[1], "password", pass).leads(t, "/account")
	b.get(t, "/account").says(t, http.StatusOK, `href="/account/authenticator"`)
	key, form := b.get(t, "/account/authenticator").enrolmentOn(t)
	b.post(t, "/account/authenticator", "enrolment", form, "code", w.code(t, key)).says(t, http.StatusOK, "Your recovery codes")
}

// Who must have a second factor and has not proven the address is mailed how to, with the right
// password alone, and sets the authenticator up afterwards.
func TestSettingUpAtSignInAsksForAProvenAddress(t *testing.T) { // R13, R15
	w := newWorld(t, 100)
	w.signedUp(t, email)
	w.mailing(t)
	check.NoError(t, w.Factors.SetPolicy(t.Context(), factor.Policy{OrganizationID: organization, SecondFactorRequired: true, UpdateTime: w.now},
		postgrestest.Event("auth.sign_in_policy_set")))
	b := w.browser()
	b.post(t, "/sign-in", "email", email, "password", newPass).says(t, http.StatusUnauthorized, "The email address or the password is wrong.")
	if told := w.office.Read(t, w.Mails); len(told) != 0 {
		t.Fatalf("a wrong password mails %+v", told)
	}
	to := w.authorize(callback)
	b.post(t, "/sign-in", "email", email, "password", pass, "return_to", to).says(t, http.StatusBadRequest, "Confirm your address first", "We have sent you a mail")
	if b.cookie != "" || b.challenge != "" {
		t.Fatal("something has begun")
	}
	b.post(t, "/verify-email", "code", hiddenCode.FindStringSubmatch(b.get(t, w.link(t)).page)[1], "password", pass).leads(t, "/sign-in/code?return_to="+url.QueryEscape(to))
	c, err := w.factors.Asked(t.Context(), b.challenge)
	check.NoError(t, err)
	b.post(t, "/sign-in/code", "code", w.code(t, c.Enrolment.Secret), "return_to", to).says(t, http.StatusOK, "Your recovery codes", `href="/oauth2/authorize?`)
	b.get(t, "/account").says(t, http.StatusOK, email)
}
