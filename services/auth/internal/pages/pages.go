// Package pages are the pages of Auth for people: signing in, up and out, their password and their
// sessions. They are HTML made here, without a script, in the language that the browser asks for.
//
// Forms hold no state of the server's, so that a page left open, a second tab, one from before a
// restart and "back" all work; what a form may not be sent from is known by what browsers say of
// every request (ADR 0086). It has one handler for each page and form, which wiring serves as web
// exchanges. It imports no driver; domain packages prove, store and record.
package pages

import (
	"context"
	"net/http"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Paths of pages, and of what sends people to them.
const (
	signInPath  = "/sign-in"
	codePath    = "/sign-in/code"
	signUpPath  = "/sign-up"
	accountPath = "/account"

	authenticatorPath = "/account/authenticator"

	authorizePath = "/oauth2/authorize"
	logoutPath    = "/oauth2/logout"
)

// Logins proves and makes logins; login.Service is one.
type Logins interface {
	// Authenticate returns the login that credentials prove, and the event of the attempt.
	Authenticate(ctx context.Context, c login.Credentials) (login.Login, event.Event, error)
	// SignUp makes a login and its user; the zero User says that it goes on by mail.
	SignUp(ctx context.Context, in login.SignUp) (login.User, error)
	// ReturnTo returns where whoever shows the code of VerifyEmail goes on, unjudged.
	ReturnTo(ctx context.Context, code proof.Code) (string, error)
	// VerifyEmail proves an address by a mailed code, and completes the sign-up with it.
	VerifyEmail(ctx context.Context, v login.Verification) (login.Verified, error)
	// RequestVerification mails a code that proves the address of a login.
	RequestVerification(ctx context.Context, r login.VerificationRequest) error
	// AcceptInvitation makes the login of an invitation.
	AcceptInvitation(ctx context.Context, a login.Acceptance) (login.Verified, error)
	// ByUser returns the login of a user, or login.ErrNotFound.
	ByUser(ctx context.Context, userID string) (login.Login, error)
	// ChangePassword replaces the password of a user by who knows it, and ends other sessions.
	ChangePassword(ctx context.Context, c login.PasswordChange) (login.Login, error)
}

// Browsers are the browser sessions; session.Browsers is one.
type Browsers interface {
	// Begin begins the session of somebody who was just proven, and returns what its cookie holds.
	Begin(ctx context.Context, p session.Proof) (cookie string, b session.Browser, err error)
	// Find returns the session of a cookie, or session.ErrNotFound.
	Find(ctx context.Context, cookie string) (session.Browser, error)
	// End ends a session with all clients' sessions below it.
	End(ctx context.Context, b session.Browser) error
}

// Overview shows and ends the sessions of a person; session.Overview is one.
type Overview interface {
	// List returns a page of a user's sessions, the newest first.
	List(ctx context.Context, userID string, q resource.Query) ([]session.Entry, *resource.Cursor, error)
	// EndOne ends a session of a person, with what is below it.
	EndOne(ctx context.Context, p session.Person, id string) error
	// EndOthers ends all sessions of a person but the one to keep.
	EndOthers(ctx context.Context, p session.Person, keep string) error
}

// Clients are the registered clients; client.Store is one.
type Clients interface {
	// Get returns a client, or client.ErrNotFound.
	Get(ctx context.Context, id string) (client.Client, error)
}

// Resets replace passwords that are lost; reset.Service is one.
type Resets interface {
	// Configured reports whether there is mail.
	Configured() bool
	// Ask mails a code to an address, if it has a login.
	Ask(ctx context.Context, email, accept string) error
	// Find says what waits for a code, which stays good.
	Find(ctx context.Context, code proof.Code) (reset.Waiting, error)
	// Reset replaces a password by a code.
	Reset(ctx context.Context, r reset.Reset) error
}

// Emails give people other addresses; emailchange.Service is one.
type Emails interface {
	// Configured reports whether there is mail.
	Configured() bool
	// Ask mails a code to a new address.
	Ask(ctx context.Context, r emailchange.Request) error
	// Confirm gives a person the address that a code proves.
	Confirm(ctx context.Context, c emailchange.Confirmation) error
}

// Params are the collaborators of the pages.
type Params struct {
	Logins   Logins
	Resets   Resets
	Emails   Emails
	Browsers Browsers
	Overview Overview
	Clients  Clients
	Factors  Factors
	SignUps  login.SignUps // where people may sign up
	Mail     bool          // is configured
	Now      func() time.Time
}

// Pages serves the pages.
type Pages struct {
	Params

	looks *looks
}

// New returns the pages over their collaborators.
func New(p Params) (*Pages, error) {
	l, err := newLooks()
	if err != nil {
		return nil, err
	}
	return &Pages{Params: p, looks: l}, nil
}

// Handlers returns the handler of each method of the contract (gatehouse.auth.v1.PageService).
func (p *Pages) Handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"ShowSignIn":              http.HandlerFunc(p.showSignIn),
		"SubmitSignIn":            p.form(p.signIn),
		"ShowCode":                http.HandlerFunc(p.showCode),
		"SubmitCode":              p.form(p.submitCode),
		"ShowSignUp":              http.HandlerFunc(p.showSignUp),
		"SubmitSignUp":            p.form(p.signUp),
		"ShowVerifyEmail":         http.HandlerFunc(p.showVerifyEmail),
		"SubmitVerifyEmail":       p.form(p.verifyEmail),
		"ShowRecover":             http.HandlerFunc(p.showRecover),
		"SubmitRecover":           p.form(p.recover),
		"ShowResetPassword":       http.HandlerFunc(p.showResetPassword),
		"SubmitResetPassword":     p.form(p.resetPassword),
		"SubmitEmail":             p.form(p.changeEmail),
		"ShowConfirmEmail":        http.HandlerFunc(p.showConfirmEmail),
		"SubmitConfirmEmail":      p.form(p.confirmEmail),
		"ShowAcceptInvitation":    http.HandlerFunc(p.showAcceptInvitation),
		"SubmitAcceptInvitation":  p.form(p.acceptInvitation),
		"ShowSignOut":             http.HandlerFunc(p.showSignOut),
		"ShowAccount":             http.HandlerFunc(p.showAccount),
		"SubmitPassword":          p.form(p.changePassword),
		"SubmitEmailVerification": p.form(p.requestVerification),
		"SubmitSessionEnd":        p.form(p.endSession),
		"SubmitOtherSessionsEnd":  p.form(p.endOtherSessions),
		"LocateChangePassword":    http.HandlerFunc(changePasswordLocation),
		"SubmitSignOut":           p.form(p.signOut),
		"ShowAuthenticator":       http.HandlerFunc(p.showAuthenticator),
		"SubmitAuthenticator":     p.form(p.enrol),
		"SubmitRecoveryCodes":     p.form(p.replaceCodes),
		"SubmitFactorRemoval":     p.form(p.removeAuthenticator),
	}
}
