package api

import (
	"context"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga"
)

// BatchCheck answers several questions about one subject.
func (s *AuthzService) BatchCheck(ctx context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
	asked := make([]fga.Question, len(r.GetQuestions()))
	for i, q := range r.GetQuestions() {
		asked[i] = fga.Question{Relation: q.GetRelation(), Object: q.GetObject()}
	}
	allowed, err := s.check(ctx, r.GetConsistencyToken(), r.GetSubject(), asked...)
	if err != nil {
		return nil, err
	}
	return &authzv1.BatchCheckResponse{Allowed: allowed}, nil
}
