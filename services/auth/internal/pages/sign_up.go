package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// doneMailed says on the page that signs up that a mail says how to go on.
const doneMailed = "mailed"

// showSignUp is the page on which people make an account, where they may.
func (p *Pages) showSignUp(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingIn(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	t := p.looks.speaks(r)
	if !p.SignUps.OnPages() {
		p.closed(w, r, t, to)
		return
	}
	if r.URL.Query().Get(done) == doneMailed {
		p.show(w, r, t, page{Name: "message", Title: t.say("sign_up.mailed_title"), Problem: t.say("sign_up.mailed"), Other: to.beside(signInPath)})
		return
	}
	p.show(w, r, t, signUpPage(t, to, "", to.Hint))
}

func signUpPage(t tongue, to returning, name, email string) page {
	return page{
		Name: "sign_up", Title: t.say("sign_up.title"), Actions: to.Actions, Client: to.Client, ReturnTo: to.To, Other: to.beside(signInPath),
		Fields: []field{
			{Name: "display_name", Label: "name", Hint: "name_hint", Type: "text", Complete: "name", Value: name, Focus: true},
			{Name: "email", Label: "email", Type: "email", Complete: "username", Value: email, Required: true},
			{Name: "password", Label: "password", Hint: "password_new_hint", Type: "password", Complete: "new-password", Required: true},
			{Name: "repeat", Label: "password_repeat", Type: "password", Complete: "new-password", Required: true},
		},
	}
}

// closed says that there is no sign-up here.
func (p *Pages) closed(w http.ResponseWriter, r *http.Request, t tongue, to returning) {
	web.Refuse(r.Context(), reason.SignUpClosed())
	p.show(w, r, t, page{
		Name: "message", Status: http.StatusForbidden, Title: t.say("sign_up.closed_title"), Problem: t.say("sign_up.closed"), Other: to.beside(signInPath),
	})
}

// signUp makes a login and its user, and signs the person in; where mail is configured it leads,
// for every address alike, to the page that says to look for one.
func (p *Pages) signUp(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingIn(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	t := p.looks.speaks(r)
	if !p.SignUps.OnPages() {
		p.closed(w, r, t, to)
		return
	}
	in := login.SignUp{
		Email: strings.TrimSpace(r.PostForm.Get("email")), Password: r.PostForm.Get("password"), DisplayName: strings.TrimSpace(r.PostForm.Get("display_name")), OnPage: true,
		Accept: r.Header.Get("Accept-Language"), ReturnTo: to.To,
	}
	form := signUpPage(t, to, in.DisplayName, in.Email)
	form.Status = http.StatusBadRequest
	err = check(t, form, &authv1.SignUpRequest{Email: in.Email, Password: in.Password, DisplayName: in.DisplayName})
	if err == nil {
		err = repeated(t, form, in.Password, r.PostForm.Get("repeat"))
	}
	if err != nil {
		web.Refuse(r.Context(), err)
		p.show(w, r, t, focused(form))
		return
	}
	ctx := event.NewContext(r.Context(), signingUp(event.FromContext(r.Context()), in))
	user, err := p.Logins.SignUp(ctx, in)
	if err != nil {
		p.notSignedUp(w, r, t, form, err)
		return
	}
	if user.ID == "" {
		see(w, to.beside(signUpPath+"?"+done+"="+doneMailed))
		return
	}
	attempt := event.FromContext(ctx)
	attempt.Action, attempt.Changes = "auth.signed_in", attempt.Changes[:1]
	if err := p.begin(w, r, login.Login{UserID: user.ID, OrganizationID: user.OrganizationID}, attempt); err != nil {
		p.Failed(w, r, err)
		return
	}
	see(w, to.Path())
}

// signingUp says what a sign-up sets, as the API's contract does.
func signingUp(e event.Event, in login.SignUp) event.Event {
	e.Changes = event.PersonalTexts("email", address.Fold(in.Email), "display_name", in.DisplayName)
	return e
}

// notSignedUp says why, on the form.
func (p *Pages) notSignedUp(w http.ResponseWriter, r *http.Request, t tongue, form page, err error) {
	e := apierr.From(err)
	switch {
	case errors.Is(e, reason.EmailTaken()):
		form.Fields[1].Wrong = t.say("field.email_taken")
	case errors.Is(e, reason.PasswordRefused()):
		form.Fields[2].Wrong = refusedPassword(t, e)
	case errors.Is(e, reason.SignUpRefused()):
		form.Problem = t.say("sign_up.refused")
	case errors.Is(e, reason.IdentityUnavailable()), errors.Is(e, reason.SignUpInterrupted()):
		form.Problem = t.say("sign_in.interrupted")
	case errors.Is(e, reason.SignInOverload()):
		form.Problem = t.say("sign_in.overload")
	default:
		p.Failed(w, r, err)
		return
	}
	p.show(w, r, t, focused(refused(w, r, form, err)))
}

// refusedPassword is the rule that a password breaks, in words.
func refusedPassword(t tongue, e *apierr.Error) string {
	keys := map[string]string{
		"password.min_len": "field.password_short", "password.context": "field.password_context",
		"password.repetition": "field.password_repetition", "password.sequence": "field.password_sequence",
		"password.common": "field.password_common", "password.breached": "field.password_breached",
	}
	for _, f := range e.Fields {
		if key, ok := keys[f.Rule]; ok {
			return t.say(key)
		}
	}
	return e.Message
}
