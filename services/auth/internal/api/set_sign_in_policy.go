package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
)

// SetSignInPolicy says what an organization requires of its members when they sign in.
func (s *FactorService) SetSignInPolicy(ctx context.Context, r *authv1.SetSignInPolicyRequest) (*authv1.SetSignInPolicyResponse, error) {
	p, err := s.factors.SetPolicy(ctx, factor.Policy{
		OrganizationID: r.GetPolicy().GetOrganizationId(), SecondFactorRequired: r.GetPolicy().GetSecondFactorRequired(),
	})
	if err != nil {
		return nil, err
	}
	return &authv1.SetSignInPolicyResponse{Policy: policyMessage(p)}, nil
}
