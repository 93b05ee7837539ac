package api

import (
	"context"
	"time"

	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
)

// GetModel returns the authorization model in force.
func (s *AuthzService) GetModel(_ context.Context, _ *authzv1.GetModelRequest) (*authzv1.GetModelResponse, error) {
	model := s.engine.Model()
	if model.ID == "" {
		return nil, reason.ModelNotLoaded().WithRetryAfter(time.Second)
	}
	types := make([]*authzv1.ObjectType, len(model.Types))
	for i, t := range model.Types {
		types[i] = &authzv1.ObjectType{Name: t.Name, Relations: t.Relations}
	}
	return &authzv1.GetModelResponse{Id: model.ID, Source: model.Source, Types: types}, nil
}
