package pages

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Challenges ask for second factors; factor.Service is one.
type Challenges interface {
	// Challenge returns what a person has to show after the password; nil when nothing is.
	Challenge(ctx context.Context, p factor.Proven) (*factor.Challenge, error)
	// Asked returns a challenge that is good, by its token.
	Asked(ctx context.Context, token string) (factor.Challenge, error)
	// Answer proves a person by a challenge and a code.
	Answer(ctx context.Context, token string, g factor.Given) (factor.Shown, error)
}

// The cookie of a challenge: whoever has it has shown the password, and nothing more. It is sealed,
// and kept for as long as the challenge may be answered.
const challengeName = "__Host-gatehouse-challenge"

// challengeOf is the challenge of a browser; "" without one.
func challengeOf(r *http.Request) string {
	cookies := r.CookiesNamed(challengeName)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}

// challengeCookie is the value of the Set-Cookie header that hands it out, or takes it away.
func challengeCookie(token string, lasts time.Duration) string {
	return challengeName + "=" + token + "; Max-Age=" + strconv.Itoa(int(lasts/time.Second)) + session.CookieAttributes
}

// asked leads who has to show a second factor to the page for that, with a challenge.
func (p *Pages) asked(w http.ResponseWriter, r *http.Request, to returning, l login.Login, device string, attempt event.Event) (bool, error) {
	proven := l.Proven(device, r.Header.Get("Accept-Language"), attempt)
	proven.ReturnTo = to.To
	c, err := p.Factors.Challenge(r.Context(), proven)
	if err != nil || c == nil {
		return false, err
	}
	w.Header().Add("Set-Cookie", challengeCookie(c.Token, factor.ChallengeLasts))
	see(w, to.beside(codePath))
	return true, nil
}

// showCode is the page that asks for the second factor.
func (p *Pages) showCode(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingIn(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	c, err := p.Factors.Asked(r.Context(), challengeOf(r))
	switch {
	case errors.Is(err, reason.InvalidChallenge()):
		see(w, to.beside(signInPath))
	case err != nil:
		p.Failed(w, r, err)
	default:
		p.askCode(w, r, to, c, page{})
	}
}

// askCode shows the form, completed from what is known of the page already.
func (p *Pages) askCode(w http.ResponseWriter, r *http.Request, to returning, c factor.Challenge, shown page) {
	t := p.looks.speaks(r)
	shown.Name, shown.Title, shown.Actions = "code", t.say("code.title"), to.Actions
	shown.Client, shown.ReturnTo, shown.Other = to.Client, to.To, to.beside(signInPath)
	shown.Fields = codeFields()
	if c.Enrolment == nil {
		shown.Recovery = &field{Name: recoveryField, Label: "code.recovery", Hint: "code.recovery_hint", Type: "text", Complete: "off", Required: true}
	} else {
		var err error
		if shown.Enrolment, err = shownEnrolment(*c.Enrolment); err != nil {
			p.Failed(w, r, err)
			return
		}
		shown.Title = t.say("authenticator.title")
	}
	if shown.Failed() {
		wrong := &shown.Fields[0]
		if shown.Recovery != nil && r.PostForm.Has(recoveryField) {
			wrong.Focus, wrong = false, shown.Recovery
		}
		wrong.Wrong, wrong.Focus = t.say("code.wrong"), true
	}
	p.show(w, r, t, shown)
}

// recoveryField is the field of the form that takes a recovery code instead.
const recoveryField = "recovery_code"

// shownCode is what somebody has typed into one of the two forms.
func shownCode(r *http.Request) factor.Given {
	if r.PostForm.Has(recoveryField) {
		return given(r, recoveryField)
	}
	return given(r, "code")
}

// submitCode proves the second factor and begins a browser session.
func (p *Pages) submitCode(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingIn(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	shown, err := p.Factors.Answer(r.Context(), challengeOf(r), shownCode(r))
	if err == nil {
		err = p.beginProven(w, r, session.Proof{
			UserID: shown.UserID, OrganizationID: shown.OrganizationID, AMR: shown.AMR, PasswordHash: shown.PasswordHash, Factor: shown.Factor,
			Attempt: shown.Attempt,
		})
	}
	if err != nil {
		p.notShown(w, r, to, err)
		return
	}
	w.Header().Add("Set-Cookie", deviceCookie(shown.Device))
	w.Header().Add("Set-Cookie", challengeCookie("", 0))
	if shown.RecoveryCodes == nil {
		see(w, to.Path())
		return
	}
	p.recoveryCodes(w, r, page{Client: to.Client, Codes: shown.RecoveryCodes, Next: to.Path()})
}

// notShown says why, on the form, where it can be sent again; a challenge that is not good any more
// leads back to the password.
func (p *Pages) notShown(w http.ResponseWriter, r *http.Request, to returning, err error) {
	t, e := p.looks.speaks(r), apierr.From(err)
	switch {
	case errors.Is(e, reason.InvalidChallenge()), errors.Is(e, reason.InvalidCredentials()):
		w.Header().Add("Set-Cookie", challengeCookie("", 0))
		form := p.signInPage(t, to, page{Problem: t.say("code.over")}, to.Hint)
		p.show(w, r, t, refused(w, r, form, err))
	case errors.Is(e, reason.InvalidSecondFactor()):
		c, again := p.Factors.Asked(r.Context(), challengeOf(r))
		if again != nil {
			p.Failed(w, r, again)
			return
		}
		p.askCode(w, r, to, c, refused(w, r, page{}, err))
	default:
		p.Failed(w, r, err)
	}
}
