package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// ConfirmEmail gives the caller the address that a code proves.
func (s *EmailService) ConfirmEmail(ctx context.Context, r *authv1.ConfirmEmailRequest) (*authv1.ConfirmEmailResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	err = s.changes.Confirm(ctx, emailchange.Confirmation{
		UserID: who.UserID, Code: proof.Code(r.GetCode()), Accept: request.ClientOf(ctx).Language, Event: event.FromContext(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &authv1.ConfirmEmailResponse{}, nil
}
