package api

import (
	"context"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// OfferTotp draws the secret of a new authenticator.
func (s *FactorService) OfferTotp(ctx context.Context, _ *authv1.OfferTotpRequest) (*authv1.OfferTotpResponse, error) {
	who, err := caller(ctx)
	if err != nil {
		return nil, err
	}
	e, err := s.factors.Offer(ctx, who.UserID)
	if err != nil {
		return nil, err
	}
	return &authv1.OfferTotpResponse{Enrolment: &authv1.TotpEnrolment{Token: e.Token, Secret: e.Secret, Uri: e.URI}}, nil
}
