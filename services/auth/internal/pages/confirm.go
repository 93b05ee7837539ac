package pages

import (
	"net/http"

	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Where somebody goes back to who was asked to confirm that it is them: because a form was sent too
// late, and has to be filled in again, or before there is one.
const (
	toRepeat = accountPath + "?" + done + "=" + doneRepeat
	toChange = accountPath + "?" + done + "=" + doneConfirmed
)

// ownReturns are all of the pages here that the one that signs in leads back to (R29).
func ownReturns() []string { return []string{toRepeat, toChange, authenticatorPath} }

// fresh calls act with the person who is signed in, where they were proven as lately as the API's
// contract asks for by fresh_sign_in (R17), or leads to the page that signs in: nothing is changed
// then, and what was typed is not kept, since it may be a secret. back is where they come back to.
func (p *Pages) fresh(w http.ResponseWriter, r *http.Request, back string, act func(b session.Browser, who string)) {
	p.known(w, r, func(b session.Browser, who string) {
		if p.stale(b) {
			see(w, returning{To: back}.beside(signInPath))
			return
		}
		act(b, who)
	})
}

// stale reports whether a person has to confirm that it is them before they change what fresh is
// for.
func (p *Pages) stale(b session.Browser) bool { return b.AuthTime.Before(p.Now().Add(-token.FreshFor)) }
