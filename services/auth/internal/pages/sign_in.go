package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// byPassword is how people are proven who have no second factor (RFC 8176).
func byPassword() []string { return []string{"pwd"} }

// showSignIn is the page that signs in, or, for whoever is signed in already and need not be proven
// again, the one that says so.
func (p *Pages) showSignIn(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingIn(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	b, who, err := p.signedIn(r)
	if err != nil {
		p.Failed(w, r, err)
		return
	}
	t := p.looks.speaks(r)
	if who == "" || r.URL.Query().Has("another") {
		var shown page
		if r.URL.Query().Get(done) == doneReset {
			shown.Notice = t.say("sign_in.reset")
		}
		p.show(w, r, t, p.signInPage(t, to, shown, to.Hint))
		return
	}
	if b.AuthTime.Before(to.Since) {
		p.show(w, r, t, p.signInPage(t, to, page{Who: who}, who))
		return
	}
	if to.Own {
		see(w, to.Path())
		return
	}
	other := to.beside(signInPath)
	separator := "?"
	if strings.Contains(other, "?") {
		separator = "&"
	}
	p.show(w, r, t, page{
		Name: "signed_in", Title: t.say("sign_in.here_already"), Client: to.Client, Who: who, Next: to.Path(), Other: other + separator + "another=1",
	})
}

// signInPage is the form, completed from what is known of the page already.
func (p *Pages) signInPage(t tongue, to returning, shown page, email string) page {
	shown.Name, shown.Title, shown.Actions = "sign_in", t.say("sign_in.title"), to.Actions
	shown.Client, shown.ReturnTo, shown.Other, shown.SignUp = to.Client, to.To, to.beside(signUpPath), p.SignUps.OnPages() && !to.Own
	shown.Recover = p.Resets.Configured()
	if shown.Fields == nil {
		shown.Fields = []field{
			{Name: "email", Label: "email", Type: "email", Complete: "username", Value: email, Required: true, Focus: email == ""},
			{Name: "password", Label: "password", Type: "password", Complete: "current-password", Required: true, Focus: email != ""},
		}
	}
	return shown
}

// signIn proves a password and begins a browser session. Unknown and wrong are one answer after the
// same work, that of the API (R10, R11); the address that was typed stays.
func (p *Pages) signIn(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingIn(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	t := p.looks.speaks(r)
	email, password := strings.TrimSpace(r.PostForm.Get("email")), r.PostForm.Get("password")
	form := p.signInPage(t, to, page{Status: http.StatusBadRequest}, email)
	if err := check(t, form, &authv1.SignInRequest{Email: email, Password: password}); err != nil {
		web.Refuse(r.Context(), err)
		p.show(w, r, t, focused(form))
		return
	}
	p.prove(w, r, t, form, to, login.Credentials{Email: email, Password: password, Device: deviceOf(r)})
}

// prove signs in who shows credentials, and leads on; or says why not, on the form.
func (p *Pages) prove(w http.ResponseWriter, r *http.Request, t tongue, form page, to returning, c login.Credentials) {
	l, attempt, err := p.Logins.Authenticate(r.Context(), c)
	if err == nil {
		var asked bool
		if asked, err = p.asked(w, r, to, l, c.Device, attempt); asked {
			return
		}
	}
	if err == nil {
		err = p.begin(w, r, l, attempt)
	}
	if err != nil {
		p.notSignedIn(w, r, t, form, err)
		return
	}
	w.Header().Add("Set-Cookie", deviceCookie(c.Device))
	see(w, to.Path())
}

// begin begins the session of somebody who was just proven by the password alone.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request, l login.Login, attempt event.Event) error {
	return p.beginProven(w, r, session.Proof{
		UserID: l.UserID, OrganizationID: l.OrganizationID, AMR: byPassword(), PasswordHash: l.PasswordHash, Attempt: attempt,
	})
}

// beginProven begins the session of somebody who was just proven, with a new cookie (R20, R24).
func (p *Pages) beginProven(w http.ResponseWriter, r *http.Request, proof session.Proof) error {
	proof.Cookie = cookieOf(r)
	cookie, b, err := p.Browsers.Begin(r.Context(), proof)
	if err != nil {
		return err
	}
	w.Header().Set("Set-Cookie", session.Cookie(cookie, b))
	return nil
}

// notSignedIn says why, on the form, where it can be sent again.
func (p *Pages) notSignedIn(w http.ResponseWriter, r *http.Request, t tongue, form page, err error) {
	e := apierr.From(err)
	switch {
	case errors.Is(e, reason.InvalidCredentials()):
		form.Problem = t.say("sign_in.wrong")
	case errors.Is(e, reason.EmailNotVerified()):
		p.show(w, r, t, refused(w, r, page{Name: "message", Title: t.say("unproven.title"), Problem: t.say("unproven.mailed"), Other: returning{To: form.ReturnTo}.beside(signInPath)}, err))
		return
	case errors.Is(e, reason.SignInOverload()):
		form.Problem = t.say("sign_in.overload")
	default:
		p.Failed(w, r, err)
		return
	}
	p.show(w, r, t, refused(w, r, form, err))
}

// signedIn returns the browser session of a request and the address of its person, "" when nobody
// is signed in.
func (p *Pages) signedIn(r *http.Request) (session.Browser, string, error) {
	b, err := p.browserOf(r)
	if errors.Is(err, session.ErrNotFound) {
		return session.Browser{}, "", nil
	}
	if err != nil {
		return session.Browser{}, "", err
	}
	l, err := p.Logins.ByUser(r.Context(), b.UserID)
	if errors.Is(err, login.ErrNotFound) { // removed a moment ago, and the session with it
		return session.Browser{}, "", nil
	}
	return b, l.Email, err
}
