package api

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
)

// FactorService implements gatehouse.auth.v1.FactorService.
type FactorService struct {
	authv1.UnsafeFactorServiceServer // a forgotten method does not compile
	factors                          *factor.Service
}

// NewFactorService returns the service for people with second factors, and their organizations.
func NewFactorService(factors *factor.Service) *FactorService {
	return &FactorService{factors: factors}
}

// change is a request of the caller about their own second factor. Their session stays.
func change(ctx context.Context) (factor.Change, error) {
	who, err := caller(ctx)
	return factor.Change{UserID: who.UserID, Keep: who.SessionID, Accept: request.ClientOf(ctx).Language, Event: event.FromContext(ctx)}, err
}

func policyMessage(p factor.Policy) *authv1.SignInPolicy {
	m := &authv1.SignInPolicy{OrganizationId: p.OrganizationID, SecondFactorRequired: p.SecondFactorRequired}
	if !p.UpdateTime.IsZero() {
		m.UpdateTime = timestamppb.New(p.UpdateTime)
	}
	return m
}
