package api

import (
	"context"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/relation"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// ReserveDeparture asks whether a user may be deleted or suspended, and keeps the answer true.
func (s *AuthzService) ReserveDeparture(ctx context.Context, r *authzv1.ReserveDepartureRequest) (*authzv1.ReserveDepartureResponse, error) {
	d := relationship.Departure{ID: uuid.NewString(), User: relation.User(r.GetUserId()), Suspension: r.GetSuspensionRevision()}
	if id := r.GetEndingOrganizationId(); id != "" {
		d.Ends = relation.Organization(id)
	}
	if err := s.relations.Depart(ctx, d, origin(r.GetOrigin())); err != nil {
		return nil, err
	}
	return &authzv1.ReserveDepartureResponse{}, nil
}
