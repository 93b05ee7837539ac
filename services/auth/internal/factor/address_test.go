package factor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
)

const unproven = "EMAIL_NOT_VERIFIED"

// mailing configures mail.
func (w *world) mailing(t *testing.T) mailtest.Office {
	t.Helper()
	office := mailtest.NewOffice(t, func() time.Time { return w.now })
	w.Desk, w.Codes = office.Desk, w.MailedCodes
	return office
}

// proves marks the address of the person as proven.
func (w *world) proves(t *testing.T) {
	t.Helper()
	_, err := w.Pool.Exec(t.Context(), `update auth.logins set email_verified = true where user_id = $1`, w.user)
	check.NoError(t, err)
}

// Behind an address that nobody has proven nobody enrols an authenticator, where mail is
// configured: a reset would take it away. What was enrolled before goes on, and can be taken away.
func TestEnrolmentAsksForAProvenAddress(t *testing.T) { // R15
	w := newWorld(t)
	secret, codes := w.enrol(t) // without mail nothing is asked
	old, err := w.Offer(t.Context(), w.user)
	check.NoError(t, err)
	w.mailing(t)
	w.Unchanged(t, "unproven", func() {
		_, err := w.Offer(t.Context(), w.user)
		want(t, "an offer", err, unproven)
		_, err = w.Confirm(w.ctx(t.Context()), w.change(), old.Token, w.code(t, old.Secret, 0))
		want(t, "an offer of before", err, unproven)
	})
	if _, err := w.Verify(w.ctx(t.Context()), w.user, factor.Given{Code: w.code(t, secret, 0)}); err != nil {
		t.Errorf("the authenticator of before: %v", err)
	}
	w.challenge(t, w.proven(true))
	if _, err := w.Verify(w.ctx(t.Context()), w.user, factor.Given{RecoveryCode: codes[0]}); err != nil {
		t.Errorf("a recovery code of before: %v", err)
	}
	check.NoError(t, w.Remove(w.ctx(t.Context()), w.change()))
	w.proves(t)
	w.enrol(t)
}

// Who has to enrol at a sign-in and has not proven the address is mailed how, instead of a
// challenge; a challenge of before mail was configured is not good any more.
func TestAChallengeToEnrolAsksForAProvenAddress(t *testing.T) { // R15
	w := newWorld(t)
	check.NoError(t, w.Store.SetPolicy(t.Context(), factor.Policy{OrganizationID: w.organization, SecondFactorRequired: true, UpdateTime: w.now}, w.change().Event))
	p := w.proven(false)
	p.Required, p.Email, p.Accept = true, w.email, "de"
	old := w.challenge(t, p)
	office := w.mailing(t)
	w.Unchanged(t, "a challenge of before", func() {
		_, err := w.Asked(t.Context(), old.Token)
		want(t, "asked", err, overtaken)
		_, err = w.Answer(w.ctx(t.Context()), old.Token, factor.Given{Code: w.code(t, old.Enrolment.Secret, 0)})
		want(t, "answered", err, overtaken)
	})
	p.Attempt = w.change().Event
	p.Attempt.Action = "auth.signed_in"
	c, err := w.Challenge(w.ctx(t.Context()), p)
	want(t, "a challenge", err, unproven)
	if c != nil {
		t.Errorf("asked for %+v", c)
	}
	told := office.Read(t, w.Mails)
	if len(told) != 1 || told[0].To != w.email || told[0].Language != "de" || !strings.Contains(told[0].Text, "/verify-email?code=") {
		t.Errorf("told %+v", told)
	}
	recorded := w.Recorded(t)
	if !slices.ContainsFunc(recorded, func(e event.Event) bool {
		return e.Action == "auth.email_verification_requested" && e.ObjectID == w.user && e.OrganizationID == w.organization
	}) {
		t.Errorf("the mail is not recorded: %+v", recorded)
	}
	w.proves(t)
	p.EmailVerified = true
	if c := w.challenge(t, p); c.Enrolment == nil {
		t.Errorf("asked for %+v, want an enrolment", c)
	}
}
