package pages

import (
	"net/http"

	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// showSignOut asks whether to sign out. A client that wants it without showing an ID token sends
// people here by the provider.
func (p *Pages) showSignOut(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingOut(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	_, who, err := p.signedIn(r)
	switch {
	case err != nil:
		p.Failed(w, r, err)
	case who == "" && to.To != "":
		see(w, to.To) // nothing is left to ask
	case who == "":
		p.SignedOut(w, r)
	default:
		t := p.looks.speaks(r)
		p.show(w, r, t, page{
			Name: "sign_out", Title: t.say("sign_out.title"), Actions: to.Actions, Client: to.Client, ReturnTo: to.To, Who: who,
		})
	}
}

// signOut ends the browser session with all clients' sessions below it (R22), and goes on with the
// request that asked for it.
func (p *Pages) signOut(w http.ResponseWriter, r *http.Request) {
	to, err := p.signingOut(r.Context(), returnOf(r))
	if err != nil {
		p.badReturn(w, r, err)
		return
	}
	b, who, err := p.signedIn(r)
	if err == nil && who != "" {
		err = p.Browsers.End(r.Context(), b)
	}
	if err != nil {
		p.Failed(w, r, err)
		return
	}
	w.Header().Set("Set-Cookie", session.NoCookie())
	if to.To == "" {
		to.To = "/sign-out" // where nobody is signed in now
	}
	see(w, to.To)
}

// SignedOut tells a person who is signed out.
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request) {
	t := p.looks.speaks(r)
	p.show(w, r, t, page{Name: "message", Title: t.say("sign_out.done"), Problem: t.say("sign_out.done_text"), Other: signInPath})
}

// Refused tells a person that an application cannot be answered, and whoever runs that why, in the
// provider's words: where an answer could be sent to is not known (RFC 6749, section 4.1.2.1).
func (p *Pages) Refused(w http.ResponseWriter, r *http.Request, text string) {
	t := p.looks.speaks(r)
	p.show(w, r, t, page{
		Name: "message", Status: http.StatusBadRequest, Title: t.say("refused.heading"), Problem: t.say("refused.text"), Detail: text, Other: signInPath,
	})
}
