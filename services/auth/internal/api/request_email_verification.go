package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// RequestEmailVerification mails the caller a code that verifies their address.
func (s *SessionService) RequestEmailVerification(
	ctx context.Context, _ *authv1.RequestEmailVerificationRequest,
) (*authv1.RequestEmailVerificationResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	err = s.logins.RequestVerification(ctx, login.VerificationRequest{
		UserID: who.UserID, Accept: request.ClientOf(ctx).Language, Event: event.FromContext(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &authv1.RequestEmailVerificationResponse{}, nil
}
