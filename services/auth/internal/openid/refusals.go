package openid

import (
	"context"
	"net/http"

	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/web"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1/reason"
)

// refuse has log, metrics and trail tell of a refusal (web.Refuse), whatever the client is
// answered.
func refuse(ctx context.Context, e *oidc.Error) { web.Refuse(ctx, whyRefused(e)) }

// refusePage tells a person why an application cannot be answered. Nothing is sent to the
// application: where it is is not known.
func (p *Provider) refusePage(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	if e.ErrorType == oidc.ServerError || e.ErrorType == temporarilyUnavailable {
		p.Pages.Failed(w, r, e.Parent)
		return
	}
	refuse(r.Context(), e)
	p.Pages.Refused(w, r, e.Description)
}

// whyRefused is a refusal in the words of the contract, with the user whom it is about if it knows
// one.
func whyRefused(e *oidc.Error) error {
	var why *apierr.Error
	switch e.ErrorType {
	case oidc.ServerError, temporarilyUnavailable:
		return e.Parent
	case oidc.InvalidClient:
		why = reason.InvalidClient()
	case oidc.InvalidGrant:
		why = reason.InvalidGrant()
	case invalidToken:
		why = apierr.InvalidToken()
	default:
		why = reason.OauthRequestRefused().Saying(e.Description)
	}
	if attempt, ok := event.AttemptOf(e); ok {
		return event.Attempt(why.Because(e), attempt)
	}
	return why.Because(e)
}
