package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// GetSignInPolicy returns what an organization requires of its members when they sign in.
func (s *FactorService) GetSignInPolicy(ctx context.Context, r *authv1.GetSignInPolicyRequest) (*authv1.GetSignInPolicyResponse, error) {
	p, err := s.factors.Policy(ctx, r.GetOrganizationId())
	if err != nil {
		return nil, err
	}
	return &authv1.GetSignInPolicyResponse{Policy: policyMessage(p)}, nil
}
