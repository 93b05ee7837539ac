package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// GetMyFactors returns what second factor the caller has.
func (s *FactorService) GetMyFactors(ctx context.Context, _ *authv1.GetMyFactorsRequest) (*authv1.GetMyFactorsResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	status, err := s.factors.Status(ctx, who.UserID)
	if err != nil {
		return nil, err
	}
	m := &authv1.GetMyFactorsResponse{RecoveryCodes: int32(status.Codes), Required: status.Required} //nolint:gosec // ten at most
	if status.Enrolled {
		m.Totp = &authv1.Totp{EnrolTime: timestamppb.New(status.EnrolTime)}
	}
	return m, nil
}
