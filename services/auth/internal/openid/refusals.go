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
func refusePage(w http.ResponseWriter, r *http.Request, e *oidc.Error) {
	noStore(w)
	w.WriteHeader(http.StatusBadRequest) // of an answer without a page, outside of an exchange
	web.Fail(r.Context(), whyRefused(e))
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
