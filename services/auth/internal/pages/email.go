package pages

import (
	"errors"
	"net/http"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// doneVerify says on the account's page that a mail says how to go on.
const doneVerify = "verify"

// unproven reports whether the person can prove their address, and has not.
func (p *Pages) unproven(r *http.Request, b session.Browser) (bool, error) {
	if !p.Mail {
		return false, nil
	}
	l, err := p.Logins.ByUser(r.Context(), b.UserID)
	if errors.Is(err, login.ErrNotFound) {
		return false, nil
	}
	return err == nil && !l.EmailVerified, err
}

// requestVerification mails a code that proves the person's address. One that is proven by now
// needs none.
func (p *Pages) requestVerification(w http.ResponseWriter, r *http.Request) {
	p.known(w, r, func(b session.Browser, _ string) {
		err := p.Logins.RequestVerification(r.Context(), login.VerificationRequest{
			UserID: b.UserID, Accept: r.Header.Get("Accept-Language"), Event: acting(event.FromContext(r.Context()), b),
		})
		switch {
		case err == nil:
			see(w, accountPath+"?"+done+"="+doneVerify)
		case errors.Is(err, reason.EmailAlreadyVerified()):
			see(w, accountPath)
		default:
			p.Failed(w, r, err)
		}
	})
}
