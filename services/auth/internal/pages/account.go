package pages

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// done is the parameter of the account's page that says what a form has just done: one of these.
const (
	done         = "done"
	doneEnded    = "ended"
	doneOthers   = "others"
	donePassword = "password"

	doneConfirmed = "confirmed"
	doneRepeat    = "repeat"

	doneRemoved = "factor_removed"
	doneKept    = "factor_kept"
)

// row is a session as the account's page shows it.
type row struct {
	ID, Agent, Address, Since, Seen, Clients string

	Current bool // it is that of the browser
}

// changePasswordLocation leads password managers to the form that changes a password (W3C, A
// Well-Known URL for Changing Passwords).
func changePasswordLocation(w http.ResponseWriter, _ *http.Request) { see(w, accountPath) }

// showAccount is the page of the person who is signed in: the password, and the sessions (R23).
func (p *Pages) showAccount(w http.ResponseWriter, r *http.Request) {
	p.known(w, r, func(b session.Browser, who string) {
		shown := page{Who: who, Fields: passwordFields()}
		if p.stale(b) {
			shown.Confirm = returning{To: toChange}.beside(signInPath)
		}
		p.account(w, r, b, shown)
	})
}

// known calls act with the person who is signed in, or leads to the page that signs in.
func (p *Pages) known(w http.ResponseWriter, r *http.Request, act func(b session.Browser, who string)) {
	b, who, err := p.signedIn(r)
	switch {
	case err != nil:
		p.Failed(w, r, err)
	case who == "":
		see(w, signInPath)
	default:
		act(b, who)
	}
}

// account shows the page, completed from what is known of it already.
func (p *Pages) account(w http.ResponseWriter, r *http.Request, b session.Browser, shown page) {
	t := p.looks.speaks(r)
	all, _, err := p.Overview.List(r.Context(), b.UserID, resource.Query{})
	if err == nil {
		shown.Unproven, err = p.unproven(r, b)
	}
	if err != nil {
		p.Failed(w, r, err)
		return
	}
	if shown.NewEmail == nil && p.Emails.Configured() {
		shown.NewEmail = newEmailFields()
	}
	notices := map[string]string{
		doneEmailAsked: "notice.email_asked", doneEmailChanged: "notice.email_changed", doneVerifyFirst: "notice.verify_first",
		doneEnded: "notice.ended", doneOthers: "notice.ended_others", donePassword: "notice.password", doneConfirmed: "notice.confirmed", doneRepeat: "notice.repeat",
		doneRemoved: "notice.factor_removed", doneKept: "notice.factor_kept",
		doneVerify: "notice.verify",
	}
	if key, ok := notices[r.URL.Query().Get(done)]; ok {
		shown.Notice = t.say(key)
	}
	if shown.Factor, err = p.statusOf(r.Context(), t, b.UserID); err != nil {
		p.Failed(w, r, err)
		return
	}
	shown.Name, shown.Title = "account", t.say("account.title")
	now := p.Now()
	for _, e := range all {
		var clients []string
		for _, c := range e.Clients {
			clients = append(clients, c.ClientName)
		}
		slices.Sort(clients)
		shown.Sessions = append(shown.Sessions, row{
			ID: e.ID, Agent: t.device(e.From.Agent), Address: e.From.Address, Since: t.ago(now.Sub(e.CreateTime)), Seen: t.ago(now.Sub(e.SeenTime)),
			Clients: strings.Join(slices.Compact(clients), ", "), Current: e.Has(b.ID),
		})
	}
	slices.SortStableFunc(shown.Sessions, func(a, b row) int { return rank(a) - rank(b) })
	shown.Others = slices.ContainsFunc(shown.Sessions, func(s row) bool { return !s.Current })
	p.show(w, r, t, shown)
}

// rank puts the session of the browser first.
func rank(s row) int {
	if s.Current {
		return 0
	}
	return 1
}

// endSession ends one session of the person. One that is gone by now is ended, too.
func (p *Pages) endSession(w http.ResponseWriter, r *http.Request) {
	id := r.PostForm.Get("session")
	if uuid.Validate(id) != nil {
		p.refuse(w, r, http.StatusBadRequest, "error.bad_form", apierr.InvalidArgumentError())
		return
	}
	p.known(w, r, func(b session.Browser, _ string) {
		err := p.Overview.EndOne(event.NewContext(r.Context(), acting(event.FromContext(r.Context()), b)), person(b), id)
		if err != nil && !errors.Is(err, reason.SessionNotFound()) {
			p.Failed(w, r, err)
			return
		}
		see(w, accountPath+"?"+done+"="+doneEnded)
	})
}

// endOtherSessions ends all sessions of the person but that of the browser.
func (p *Pages) endOtherSessions(w http.ResponseWriter, r *http.Request) {
	p.known(w, r, func(b session.Browser, _ string) {
		err := p.Overview.EndOthers(event.NewContext(r.Context(), acting(event.FromContext(r.Context()), b)), person(b), b.ID)
		if err != nil {
			p.Failed(w, r, err)
			return
		}
		see(w, accountPath+"?"+done+"="+doneOthers)
	})
}

func person(b session.Browser) session.Person {
	return session.Person{UserID: b.UserID, OrganizationID: b.OrganizationID}
}

// acting is the event of a request that somebody makes who is signed in with a browser.
func acting(e event.Event, b session.Browser) event.Event {
	e.Actor = event.Actor{Type: event.User, ID: b.UserID, SessionID: b.ID, ClientID: token.PlatformClient}
	e.OrganizationID, e.ObjectID = b.OrganizationID, b.UserID
	return e
}

func passwordFields() []field {
	return []field{
		{Name: "old_password", Label: "password_current", Type: "password", Complete: "current-password", Required: true},
		{Name: "new_password", Label: "password_new", Hint: "password_new_hint", Type: "password", Complete: "new-password", Required: true},
		{Name: "repeat", Label: "password_repeat", Type: "password", Complete: "new-password", Required: true},
	}
}

// changePassword replaces the password by who knows it, and ends all sessions (R5, R22): that of the
// browser, too, which begins anew.
func (p *Pages) changePassword(w http.ResponseWriter, r *http.Request) {
	p.fresh(w, r, toRepeat, func(b session.Browser, who string) {
		t := p.looks.speaks(r)
		form := page{Status: http.StatusBadRequest, Who: who, Fields: passwordFields()}
		former, fresh := r.PostForm.Get("old_password"), r.PostForm.Get("new_password")
		var l login.Login
		err := check(t, form, &authv1.ChangePasswordRequest{OldPassword: former, NewPassword: fresh})
		if err == nil {
			err = repeated(t, form, fresh, r.PostForm.Get("repeat"))
		}
		if err == nil {
			l, err = p.Logins.ChangePassword(r.Context(), login.PasswordChange{
				UserID: b.UserID, Old: former, New: fresh, Accept: r.Header.Get("Accept-Language"), Event: acting(event.FromContext(r.Context()), b),
			})
		}
		if err == nil {
			p.passwordChanged(w, r, b, l)
			return
		}
		e := apierr.From(err)
		switch {
		case errors.Is(e, apierr.InvalidArgumentError()):
		case errors.Is(e, reason.InvalidCredentials()):
			form.Fields[0].Wrong = t.say("field.password_current")
		case errors.Is(e, reason.PasswordRefused()):
			form.Fields[1].Wrong = refusedPassword(t, e)
		case errors.Is(e, reason.SignInOverload()):
			form.Problem = t.say("sign_in.overload")
		default:
			p.Failed(w, r, err)
			return
		}
		p.account(w, r, b, focused(refused(w, r, form, err)))
	})
}

// passwordChanged begins the browser's session anew: whoever told the old password was proven, and
// what the browser showed before is worth nothing afterwards (R20). What else it was proven by
// stays: it was so lately. l is the login as the change has left it: whatever overtakes the new
// session, such as a reset, ends it.
func (p *Pages) passwordChanged(w http.ResponseWriter, r *http.Request, b session.Browser, l login.Login) {
	proven := acting(event.FromContext(r.Context()), b)
	proven.Action, proven.Changes = "auth.signed_in", nil
	proof := session.Proof{UserID: b.UserID, OrganizationID: b.OrganizationID, AMR: b.AMR, PasswordHash: l.PasswordHash, Attempt: proven}
	if l.Factor.Enrolled {
		proof.Factor = l.Factor.Revision
	}
	err := p.beginProven(w, r, proof)
	switch {
	case errors.Is(err, reason.InvalidCredentials()):
		see(w, signInPath)
	case err != nil:
		p.Failed(w, r, err)
	default:
		see(w, accountPath+"?"+done+"="+donePassword)
	}
}
