package pages

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Factors are the second factors; factor.Service is one.
type Factors interface {
	Challenges

	// Status returns what a person has.
	Status(ctx context.Context, userID string) (factor.Status, error)
	// Offer draws the secret of a new authenticator, and stores nothing.
	Offer(ctx context.Context, userID string) (factor.Enrolment, error)
	// Offered returns what Offer did, by its token.
	Offered(ctx context.Context, userID, token string) (factor.Enrolment, error)
	// Confirm enrols the authenticator by its first code, and returns recovery codes.
	Confirm(ctx context.Context, c factor.Change, token, code string) ([]string, error)
	// ReplaceCodes makes new recovery codes, and those of before worthless.
	ReplaceCodes(ctx context.Context, c factor.Change) ([]string, error)
	// Remove takes the second factor away.
	Remove(ctx context.Context, c factor.Change) error
}

// status is a second factor as the account's page shows it.
type status struct {
	Enrolled bool
	Since    string
	Codes    int  // recovery codes that are left
	Required bool // by the organization
}

// enrolment is what a person puts into an authenticator.
type enrolment struct {
	picture

	Token string
	Key   string       // as people type it
	Link  template.URL // as an authenticator on the device opens it
}

// statusOf is what the account's page shows of a person's second factor.
func (p *Pages) statusOf(ctx context.Context, t tongue, userID string) (*status, error) {
	s, err := p.Factors.Status(ctx, userID)
	if err != nil {
		return nil, err
	}
	return &status{Enrolled: s.Enrolled, Since: t.ago(p.Now().Sub(s.EnrolTime)), Codes: s.Codes, Required: s.Required}, nil
}

// shownEnrolment is an enrolment as a page shows it.
func shownEnrolment(e factor.Enrolment) (*enrolment, error) {
	drawn, err := draw(e.URI)
	if err != nil {
		return nil, err
	}
	var groups []string
	for key := e.Secret; key != ""; {
		n := min(len(key), 4)
		groups, key = append(groups, key[:n]), key[n:]
	}
	return &enrolment{picture: drawn, Token: e.Token, Key: strings.Join(groups, " "), Link: template.URL(e.URI)}, nil //nolint:gosec // made by Auth: otpauth, with what is in it escaped
}

// codeFields is the field in which a person types what the authenticator shows.
func codeFields() []field {
	return []field{{Name: "code", Label: "authenticator.code", Hint: "authenticator.code_hint", Type: "text", Complete: "one-time-code", Numeric: true, Required: true, Focus: true}}
}

// showAuthenticator is the page on which a person enrols an authenticator. Each look draws another
// key, which is in the page alone.
func (p *Pages) showAuthenticator(w http.ResponseWriter, r *http.Request) {
	p.fresh(w, r, authenticatorPath, func(b session.Browser, who string) {
		e, err := p.Factors.Offer(r.Context(), b.UserID)
		if err != nil {
			p.notOffered(w, r, who, err)
			return
		}
		p.authenticator(w, r, e, page{Who: who, Fields: codeFields()})
	})
}

// notOffered says why nothing can be enrolled: to who has to prove the address first, with the form
// for that.
func (p *Pages) notOffered(w http.ResponseWriter, r *http.Request, who string, err error) {
	if !errors.Is(err, reason.EmailNotVerified()) {
		p.Failed(w, r, err)
		return
	}
	t := p.looks.speaks(r)
	p.show(w, r, t, refused(w, r, page{Name: "unproven", Title: t.say("unproven.title"), Who: who}, err))
}

// authenticator shows the page, completed from what is known of it already.
func (p *Pages) authenticator(w http.ResponseWriter, r *http.Request, e factor.Enrolment, shown page) {
	var err error
	if shown.Enrolment, err = shownEnrolment(e); err != nil {
		p.Failed(w, r, err)
		return
	}
	t := p.looks.speaks(r)
	shown.Name, shown.Title = "authenticator", t.say("authenticator.title")
	p.show(w, r, t, shown)
}

// enrol enrols the authenticator by its first code, and shows the recovery codes this once.
func (p *Pages) enrol(w http.ResponseWriter, r *http.Request) {
	p.fresh(w, r, toRepeat, func(b session.Browser, who string) {
		t, token := p.looks.speaks(r), r.PostForm.Get("enrolment")
		codes, err := p.Factors.Confirm(r.Context(), change(r, b), token, strings.TrimSpace(r.PostForm.Get("code")))
		if err == nil {
			p.recoveryCodes(w, r, page{Who: who, Codes: codes, Next: accountPath})
			return
		}
		form := page{Who: who, Fields: codeFields()}
		e, again := p.Factors.Offered(r.Context(), b.UserID, token)
		switch refusal := apierr.From(err); {
		case errors.Is(refusal, reason.InvalidSecondFactor()) && again == nil:
			form.Fields[0].Wrong = t.say("authenticator.wrong")
		case errors.Is(refusal, reason.InvalidEnrolment()):
			form.Problem = t.say("authenticator.over")
			if e, again = p.Factors.Offer(r.Context(), b.UserID); again == nil {
				break
			}
			p.notOffered(w, r, who, again)
			return
		case errors.Is(refusal, reason.EmailNotVerified()):
			p.notOffered(w, r, who, err)
			return
		default:
			p.Failed(w, r, err)
			return
		}
		p.authenticator(w, r, e, focused(refused(w, r, form, err)))
	})
}

// replaceCodes makes new recovery codes, and shows them this once.
func (p *Pages) replaceCodes(w http.ResponseWriter, r *http.Request) {
	p.fresh(w, r, toRepeat, func(b session.Browser, who string) {
		codes, err := p.Factors.ReplaceCodes(r.Context(), change(r, b))
		switch {
		case errors.Is(err, reason.NoSecondFactor()): // removed in another tab
			see(w, accountPath)
		case err != nil:
			p.Failed(w, r, err)
		default:
			p.recoveryCodes(w, r, page{Who: who, Codes: codes, Next: accountPath})
		}
	})
}

// recoveryCodes shows recovery codes, in the response to the form that made them: they are in no
// other place that could show them again.
func (p *Pages) recoveryCodes(w http.ResponseWriter, r *http.Request, shown page) {
	t := p.looks.speaks(r)
	shown.Name, shown.Title = "recovery_codes", t.say("recovery_codes.title")
	p.show(w, r, t, shown)
}

// removeAuthenticator takes the second factor away, unless the organization requires one.
func (p *Pages) removeAuthenticator(w http.ResponseWriter, r *http.Request) {
	p.fresh(w, r, toRepeat, func(b session.Browser, _ string) {
		err := p.Factors.Remove(r.Context(), change(r, b))
		switch {
		case errors.Is(err, reason.SecondFactorRequired()): // since the page was shown
			see(w, accountPath+"?"+done+"="+doneKept)
		case err != nil:
			p.Failed(w, r, err)
		default:
			see(w, accountPath+"?"+done+"="+doneRemoved)
		}
	})
}

// change is a request of a person about their second factor.
func change(r *http.Request, b session.Browser) factor.Change {
	return factor.Change{
		UserID: b.UserID, Keep: b.ID, Accept: r.Header.Get("Accept-Language"), Event: acting(event.FromContext(r.Context()), b),
	}
}
