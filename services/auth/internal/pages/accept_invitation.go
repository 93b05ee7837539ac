package pages

import (
	"errors"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// showAcceptInvitation is the page behind the link of an invitation.
func (p *Pages) showAcceptInvitation(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	p.show(w, r, t, acceptInvitationPage(t, r.URL.Query().Get(code)))
}

func acceptInvitationPage(t tongue, shown string) page {
	return page{
		Name: "accept_invitation", Title: t.say("accept_invitation.title"), Code: shown,
		Fields: []field{
			{Name: "password", Label: "password", Hint: "password_new_hint", Type: "password", Complete: "new-password", Required: true, Focus: true},
			{Name: "repeat", Label: "password_repeat", Type: "password", Complete: "new-password", Required: true},
		},
	}
}

// acceptInvitation makes the login of an invitation, and signs the person in by the new password as
// the page for that does.
func (p *Pages) acceptInvitation(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	form := acceptInvitationPage(t, r.PostForm.Get(code))
	form.Status = http.StatusBadRequest
	password := r.PostForm.Get("password")
	err := check(t, form, &authv1.AcceptInvitationRequest{Code: form.Code, Password: password})
	if err != nil && form.Fields[0].Wrong == "" {
		p.badCode(w, r, "accept_invitation.wrong", err)
		return
	}
	if err == nil {
		err = repeated(t, form, password, r.PostForm.Get("repeat"))
	}
	if err != nil {
		web.Refuse(r.Context(), err)
		p.show(w, r, t, focused(form))
		return
	}
	v, err := p.Logins.AcceptInvitation(r.Context(), login.Acceptance{
		Code: proof.Code(form.Code), Password: password, Accept: r.Header.Get("Accept-Language"),
	})
	if err != nil {
		p.notAccepted(w, r, t, form, err)
		return
	}
	p.signInBy(w, r, t, returning{}, login.Credentials{Email: v.Email, Password: password, Device: deviceOf(r)})
}

// notAccepted says why, on the form where it can be sent again.
func (p *Pages) notAccepted(w http.ResponseWriter, r *http.Request, t tongue, form page, err error) {
	e := apierr.From(err)
	switch {
	case errors.Is(e, reason.InvalidMailedCode()):
		p.badCode(w, r, "accept_invitation.wrong", err)
		return
	case errors.Is(e, reason.PasswordRefused()):
		form.Fields[0].Wrong = refusedPassword(t, e)
	case errors.Is(e, reason.EmailTaken()):
		form.Problem = t.say("accept_invitation.taken")
	case errors.Is(e, reason.IdentityUnavailable()):
		form.Problem = t.say("sign_in.interrupted")
	case errors.Is(e, reason.SignInOverload()):
		form.Problem = t.say("sign_in.overload")
	default:
		p.Failed(w, r, err)
		return
	}
	p.show(w, r, t, focused(refused(w, r, form, err)))
}
