package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// ChangePassword replaces the caller's password and ends all other sessions.
func (s *SessionService) ChangePassword(ctx context.Context, r *authv1.ChangePasswordRequest) (*authv1.ChangePasswordResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	_, err = s.logins.ChangePassword(ctx, login.PasswordChange{
		UserID: who.UserID, Old: r.GetOldPassword(), New: r.GetNewPassword(), Keep: who.SessionID,
		Accept: request.ClientOf(ctx).Language, Event: event.FromContext(ctx),
	})
	if err != nil {
		return nil, err
	}
	return &authv1.ChangePasswordResponse{}, nil
}
