package pages

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/web"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

const recoverPath = "/recover"

// showRecover is the page on which people say that they have lost their password, or, afterwards,
// the one that says to look for a mail.
func (p *Pages) showRecover(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	switch {
	case !p.Resets.Configured():
		p.noRecovery(w, r, t, reason.MailNotConfigured())
	case r.URL.Query().Get(done) == doneMailed:
		p.show(w, r, t, page{Name: "message", Title: t.say("recover.mailed_title"), Problem: t.say("recover.mailed"), Other: signInPath})
	default:
		p.show(w, r, t, recoverPage(t, ""))
	}
}

func recoverPage(t tongue, email string) page {
	return page{
		Name: "recover", Title: t.say("recover.title"), Other: signInPath,
		Fields: []field{{Name: "email", Label: "email", Type: "email", Complete: "username", Value: email, Required: true, Focus: true}},
	}
}

// recover asks for a mail. Every address is answered alike (R10, R15).
func (p *Pages) recover(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	email := strings.TrimSpace(r.PostForm.Get("email"))
	form := recoverPage(t, email)
	form.Status = http.StatusBadRequest
	if err := check(t, form, &authv1.RecoverRequest{Email: email}); err != nil {
		web.Refuse(r.Context(), err)
		p.show(w, r, t, focused(form))
		return
	}
	switch err := p.Resets.Ask(r.Context(), email, r.Header.Get("Accept-Language")); {
	case err == nil:
		see(w, recoverPath+"?"+done+"="+doneMailed)
	case errors.Is(err, reason.MailNotConfigured()):
		p.noRecovery(w, r, t, err)
	default:
		p.Failed(w, r, err)
	}
}

// noRecovery says that nothing is mailed here.
func (p *Pages) noRecovery(w http.ResponseWriter, r *http.Request, t tongue, why error) {
	p.show(w, r, t, refused(w, r, page{Name: "message", Title: t.say("recover.none_title"), Problem: t.say("recover.none"), Other: signInPath}, why))
}
