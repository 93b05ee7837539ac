package gatewaytest

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/request"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Relationships is Authz's public service over a slice.
type Relationships struct {
	authzv1.UnimplementedRelationshipServiceServer

	mu     sync.Mutex
	stored []*authzv1.Relationship
	token  string // that the last request carried
}

// Written is the token that every write answers with.
func (*Relationships) Written() string {
	return request.TokenAt(request.Position{System: 1, Timeline: 2, LSN: 3}).String()
}

// Sent is the token that the last request carried.
func (r *Relationships) Sent() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.token
}

func (r *Relationships) begin(ctx context.Context) func() {
	r.mu.Lock()
	r.token = request.Consistency(ctx)
	return r.mu.Unlock
}

// CheckRelationship answers whether the relationship is stored.
func (r *Relationships) CheckRelationship(ctx context.Context, q *authzv1.CheckRelationshipRequest) (*authzv1.CheckRelationshipResponse, error) {
	defer r.begin(ctx)()
	for _, stored := range r.stored {
		if proto.Equal(stored, &authzv1.Relationship{Object: q.GetObject(), Relation: q.GetRelation(), Subject: q.GetSubject()}) {
			return &authzv1.CheckRelationshipResponse{Allowed: true}, nil
		}
	}
	return &authzv1.CheckRelationshipResponse{}, nil
}

// UpdateRelationships stores what is written.
func (r *Relationships) UpdateRelationships(ctx context.Context, q *authzv1.UpdateRelationshipsRequest) (*authzv1.UpdateRelationshipsResponse, error) {
	defer r.begin(ctx)()
	r.stored = append(r.stored, q.GetWrites()...)
	request.Wrote(ctx, r.Written())
	return &authzv1.UpdateRelationshipsResponse{ConsistencyToken: r.Written()}, nil
}

// ListRelationships returns everything.
func (r *Relationships) ListRelationships(ctx context.Context, _ *authzv1.ListRelationshipsRequest) (*authzv1.ListRelationshipsResponse, error) {
	defer r.begin(ctx)()
	return &authzv1.ListRelationshipsResponse{Relationships: r.stored}, nil
}
