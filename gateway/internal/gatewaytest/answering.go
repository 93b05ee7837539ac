package gatewaytest

import (
	"context"

	"github.com/gatehouse/gatehouse/internal/access"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// answering is what services ask of Authz, over a table of who may do what.
type answering struct {
	authzv1.UnimplementedAuthzServiceServer

	grants access.Permissions
}

// BatchCheck answers from the table.
func (a answering) BatchCheck(ctx context.Context, r *authzv1.BatchCheckRequest) (*authzv1.BatchCheckResponse, error) {
	var asked []access.Question
	for _, q := range r.GetQuestions() {
		asked = append(asked, access.Question{Relation: q.GetRelation(), Object: q.GetObject()})
	}
	allowed, err := a.grants.Allowed(ctx, r.GetSubject(), asked, r.GetConsistencyToken())
	if err != nil {
		return nil, err
	}
	return &authzv1.BatchCheckResponse{Allowed: allowed}, nil
}
