package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
)

// ChangeEmail mails the caller a code to a new address.
func (s *EmailService) ChangeEmail(ctx context.Context, r *authv1.ChangeEmailRequest) (*authv1.ChangeEmailResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	err = s.changes.Ask(ctx, emailchange.Request{
		UserID: who.UserID, NewEmail: r.GetNewEmail(), Accept: request.ClientOf(ctx).Language, Event: event.FromContext(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &authv1.ChangeEmailResponse{}, nil
}
