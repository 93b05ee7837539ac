package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// SignUp creates a login and its user, or mails how to go on.
func (s *AuthService) SignUp(ctx context.Context, req *authv1.SignUpRequest) (*authv1.SignUpResponse, error) {
	u, err := s.logins.SignUp(ctx, login.SignUp{
		Email: req.GetEmail(), Password: req.GetPassword(), DisplayName: req.GetDisplayName(), Accept: request.ClientOf(ctx).Language,
	})
	if err != nil {
		return nil, err
	}
	if u.ID == "" {
		return &authv1.SignUpResponse{}, nil
	}
	request.Wrote(ctx, u.ConsistencyToken)
	return &authv1.SignUpResponse{User: user(u)}, nil
}

func user(u login.User) *identityv1.User {
	return &identityv1.User{
		Id: u.ID, OrganizationId: u.OrganizationID, Email: u.Email, DisplayName: u.DisplayName, Locale: u.Locale, TimeZone: u.TimeZone,
		CreateTime: timestamppb.New(u.CreateTime), UpdateTime: timestamppb.New(u.UpdateTime), Etag: u.ETag,
		State: identityv1.User_State(identityv1.User_State_value[u.State]), EmailVerified: u.EmailVerified,
	}
}
