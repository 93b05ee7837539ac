package pages

import (
	"errors"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// code is the parameter of links in mails, and the field of the forms behind them. No page uses it
// up before its form was sent.
const code = "code"

// showVerifyEmail is the page behind the link of a mail.
func (p *Pages) showVerifyEmail(w http.ResponseWriter, r *http.Request) {
	t, shown := p.looks.speaks(r), r.URL.Query().Get(code)
	to, err := p.verifying(r.Context(), shown)
	if err != nil {
		p.Failed(w, r, err)
		return
	}
	p.show(w, r, t, verifyEmailPage(t, to, shown))
}

func verifyEmailPage(t tongue, to returning, shown string) page {
	return page{
		Name: "verify_email", Title: t.say("verify_email.title"), Actions: to.Actions, Client: to.Client, Code: shown,
		Fields: []field{{
			Name: "password", Label: "password", Hint: "verify_email.password_hint", Type: "password", Complete: "current-password", Required: true, Focus: true,
		}},
	}
}

// verifyEmail proves an address by code and password, signs the person in by the same password as
// the page for that does, and leads on.
func (p *Pages) verifyEmail(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	to, err := p.verifying(r.Context(), r.PostForm.Get(code))
	if err != nil {
		p.Failed(w, r, err)
		return
	}
	form := verifyEmailPage(t, to, r.PostForm.Get(code))
	form.Status = http.StatusBadRequest
	password, device := r.PostForm.Get("password"), deviceOf(r)
	err = check(t, form, &authv1.VerifyEmailRequest{Code: form.Code, Password: password})
	if err != nil && form.Fields[0].Wrong == "" {
		p.badCode(w, r, "mailed_code.wrong", err)
		return
	}
	if err != nil {
		web.Refuse(r.Context(), err)
		p.show(w, r, t, focused(form))
		return
	}
	v, err := p.Logins.VerifyEmail(r.Context(), login.Verification{
		Code: proof.Code(form.Code), Password: password, Device: device, Accept: r.Header.Get("Accept-Language"),
	})
	if err != nil {
		p.notVerified(w, r, t, form, err)
		return
	}
	p.signInBy(w, r, t, to, login.Credentials{Email: v.Email, Password: password, Device: device})
}

// signInBy signs in whoever has just proven an address with a password, as the page for that does.
func (p *Pages) signInBy(w http.ResponseWriter, r *http.Request, t tongue, to returning, c login.Credentials) {
	e := event.FromContext(r.Context())
	e.Action = "auth.signed_in"
	asked := r.WithContext(event.NewContext(r.Context(), e))
	p.prove(w, asked, t, p.signInPage(t, to, page{Status: http.StatusBadRequest}, c.Email), to, c)
}

// notVerified says why, on the form where it can be sent again.
func (p *Pages) notVerified(w http.ResponseWriter, r *http.Request, t tongue, form page, err error) {
	e := apierr.From(err)
	switch {
	case errors.Is(e, reason.InvalidMailedCode()):
		p.badCode(w, r, "mailed_code.wrong", err)
		return
	case errors.Is(e, reason.InvalidCredentials()):
		form.Problem = t.say("verify_email.wrong")
	case errors.Is(e, reason.EmailTaken()):
		form.Problem = t.say("field.email_taken")
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
	p.show(w, r, t, refused(w, r, form, err))
}

// badCode is the page of a link that leads nowhere any more; key is that of the text that says what
// to do.
func (p *Pages) badCode(w http.ResponseWriter, r *http.Request, key string, err error) {
	t := p.looks.speaks(r)
	p.show(w, r, t, refused(w, r, page{Name: "message", Title: t.say("mailed_code.title"), Problem: t.say(key), Other: signInPath}, err))
}
