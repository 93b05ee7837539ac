package api

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// Bootstrap exchanges the bootstrap secret for the first administrator.
func (s *AuthService) Bootstrap(ctx context.Context, req *authv1.BootstrapRequest) (*authv1.BootstrapResponse, error) {
	u, err := s.logins.Bootstrap(ctx, login.Bootstrap{Secret: req.GetSecret(), Email: req.GetEmail(), Password: req.GetPassword()})
	if err != nil {
		return nil, err
	}
	request.Wrote(ctx, u.ConsistencyToken)
	return &authv1.BootstrapResponse{User: user(u)}, nil
}
