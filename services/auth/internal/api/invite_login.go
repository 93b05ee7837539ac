package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/apierr"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// InviteLogin mails a user without a login the code that makes one.
func (s *InvitationService) InviteLogin(ctx context.Context, r *authv1.InviteLoginRequest) (*authv1.InviteLoginResponse, error) {
	if r.GetValidateOnly() {
		return &authv1.InviteLoginResponse{}, s.logins.CanInvite()
	}
	switch {
	case r.GetUserId() == "":
		return nil, apierr.InvalidArgumentError().WithField("user_id", "required", "must be set")
	case r.GetEmail() == "":
		return nil, apierr.InvalidArgumentError().WithField("email", "required", "must be set")
	}
	err := s.logins.Invite(ctx, login.Invitation{
		UserID: r.GetUserId(), Email: r.GetEmail(), DisplayName: r.GetDisplayName(), Revision: r.GetRevision(), Language: r.GetLanguage(),
	})
	return &authv1.InviteLoginResponse{}, err
}
