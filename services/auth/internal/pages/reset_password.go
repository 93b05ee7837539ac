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
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// doneReset says on the page that signs in that the password is another one.
const doneReset = "reset"

// showResetPassword is the page behind the link of a mail. Looking at it leaves the code good.
func (p *Pages) showResetPassword(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	shown := r.URL.Query().Get(code)
	found, err := p.Resets.Find(r.Context(), proof.Code(shown))
	if err != nil {
		p.notReset(w, r, t, page{}, err)
		return
	}
	p.show(w, r, t, resetPage(t, shown, found))
}

// resetPage is the form. The address is there for password managers.
func resetPage(t tongue, shown string, w reset.Waiting) page {
	fields := []field{
		{Name: "new_password", Label: "password_new", Hint: "password_new_hint", Type: "password", Complete: "new-password", Required: true, Focus: true},
		{Name: "repeat", Label: "password_repeat", Type: "password", Complete: "new-password", Required: true},
	}
	if w.SecondFactor {
		fields = append(fields, field{
			Name: "second_factor", Label: "reset.second_factor", Hint: "reset.second_factor_hint", Type: "text", Complete: "one-time-code", Required: true,
		})
	}
	return page{Name: "reset_password", Title: t.say("reset.title"), Code: shown, Who: w.Email, Fields: fields}
}

// resetPassword replaces a password by the code of a mail, and leads to the page that signs in.
func (p *Pages) resetPassword(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	shown, fresh := r.PostForm.Get(code), r.PostForm.Get("new_password")
	found, err := p.Resets.Find(r.Context(), proof.Code(shown))
	if err != nil {
		p.notReset(w, r, t, page{}, err)
		return
	}
	form := resetPage(t, shown, found)
	form.Status = http.StatusBadRequest
	if err = check(t, form, &authv1.ResetPasswordRequest{Code: shown, NewPassword: fresh}); err == nil {
		err = repeated(t, form, fresh, r.PostForm.Get("repeat"))
	}
	if err == nil {
		err = p.Resets.Reset(r.Context(), reset.Reset{
			Code: proof.Code(shown), NewPassword: fresh, Factor: given(r, "second_factor"), Event: event.FromContext(r.Context()),
		})
	}
	if err != nil {
		p.notReset(w, r, t, form, err)
		return
	}
	see(w, signInPath+"?"+done+"="+doneReset)
}

// given is the second factor of a form with one field, of a name, for both of its kinds: the codes
// of an authenticator are six digits, and recovery codes are longer.
func given(r *http.Request, name string) factor.Given {
	g := factor.Given{Accept: r.Header.Get("Accept-Language"), Device: deviceOf(r)}
	typed := strings.Join(strings.Fields(r.PostForm.Get(name)), "")
	if len(typed) <= 6 {
		g.Code = typed
	} else {
		g.RecoveryCode = typed
	}
	return g
}

// notReset says why, on the form where it can be sent again.
func (p *Pages) notReset(w http.ResponseWriter, r *http.Request, t tongue, form page, err error) {
	e := apierr.From(err)
	switch {
	case errors.Is(e, reason.InvalidMailedCode()):
		p.badCode(w, r, "mailed_code.wrong", err)
		return
	case errors.Is(e, apierr.InvalidArgumentError()):
		web.Refuse(r.Context(), err)
		p.show(w, r, t, focused(form))
		return
	case errors.Is(e, reason.PasswordRefused()):
		form.Fields[0].Wrong = refusedPassword(t, e)
	case errors.Is(e, reason.InvalidSecondFactor()):
		form.Fields[len(form.Fields)-1].Wrong = t.say("reset.second_factor_wrong")
	case errors.Is(e, reason.SignInOverload()):
		form.Problem = t.say("sign_in.overload")
	default:
		p.Failed(w, r, err)
		return
	}
	p.show(w, r, t, focused(refused(w, r, form, err)))
}
