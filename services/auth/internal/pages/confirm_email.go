package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// What the account's page says that was done with the address.
const (
	doneEmailAsked   = "email-asked"
	doneEmailChanged = "email-changed"
	doneVerifyFirst  = "verify-first" // nothing was: an application wants a verified address
)

func newEmailFields() []field {
	return []field{{Name: "new_email", Label: "email_new", Type: "email", Complete: "email", Required: true}}
}

// changeEmail mails a code to a new address. Nothing changes before that is shown, and an address
// of somebody else is answered alike.
func (p *Pages) changeEmail(w http.ResponseWriter, r *http.Request) {
	p.fresh(w, r, toRepeat, func(b session.Browser, who string) {
		t := p.looks.speaks(r)
		form := page{Status: http.StatusBadRequest, Who: who, Fields: newEmailFields()}
		form.Fields[0].Value = strings.TrimSpace(r.PostForm.Get("new_email"))
		err := check(t, form, &authv1.ChangeEmailRequest{NewEmail: form.Fields[0].Value})
		if err == nil {
			err = p.Emails.Ask(r.Context(), emailchange.Request{
				UserID: b.UserID, NewEmail: form.Fields[0].Value, Accept: r.Header.Get("Accept-Language"), Event: acting(event.FromContext(r.Context()), b),
			})
		}
		switch {
		case err == nil:
			see(w, accountPath+"?"+done+"="+doneEmailAsked)
		case errors.Is(err, apierr.InvalidArgumentError()):
			if form.Fields[0].Wrong == "" {
				form.Fields[0].Wrong = t.say("field.email_same")
			}
			form = focused(refused(w, r, form, err))
			form.NewEmail, form.Fields = form.Fields, passwordFields()
			p.account(w, r, b, form)
		default:
			p.Failed(w, r, err)
		}
	})
}

// showConfirmEmail is the page behind the link of a mail to a new address, for the person who asked
// for it. Looking at it changes nothing.
func (p *Pages) showConfirmEmail(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	_, who, err := p.signedIn(r)
	switch {
	case err != nil:
		p.Failed(w, r, err)
	case who == "": // the link leads here again as long as it is good
		p.show(w, r, t, page{Name: "message", Title: t.say("confirm_email.title"), Problem: t.say("confirm_email.sign_in"), Other: signInPath})
	default:
		p.show(w, r, t, page{Name: "confirm_email", Title: t.say("confirm_email.title"), Who: who, Code: r.URL.Query().Get(code), Other: accountPath})
	}
}

// confirmEmail gives the person the address that a code proves.
func (p *Pages) confirmEmail(w http.ResponseWriter, r *http.Request) {
	p.known(w, r, func(b session.Browser, who string) {
		t := p.looks.speaks(r)
		shown := r.PostForm.Get(code)
		form := page{Name: "confirm_email", Title: t.say("confirm_email.title"), Who: who, Code: shown, Other: accountPath}
		if err := check(t, form, &authv1.ConfirmEmailRequest{Code: shown}); err != nil {
			p.badCode(w, r, "mailed_code.wrong", err)
			return
		}
		err := p.Emails.Confirm(r.Context(), emailchange.Confirmation{
			UserID: b.UserID, Code: proof.Code(shown), Accept: r.Header.Get("Accept-Language"), Event: acting(event.FromContext(r.Context()), b),
		})
		switch {
		case err == nil:
			see(w, accountPath+"?"+done+"="+doneEmailChanged)
			return
		case errors.Is(err, reason.InvalidMailedCode()):
			p.badCode(w, r, "mailed_code.wrong", err)
			return
		case errors.Is(err, reason.EmailTaken()):
			form.Problem = t.say("confirm_email.taken")
		case errors.Is(err, reason.IdentityUnavailable()):
			form.Problem = t.say("confirm_email.later")
		default:
			p.Failed(w, r, err)
			return
		}
		p.show(w, r, t, refused(w, r, form, err))
	})
}
