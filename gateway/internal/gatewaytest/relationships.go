package gatewaytest

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
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
	asked := &authzv1.Relationship{Object: q.GetObject(), Relation: q.GetRelation(), Subject: q.GetSubject()}
	return &authzv1.CheckRelationshipResponse{Allowed: has(r.stored, asked)}, nil
}

func has(all []*authzv1.Relationship, one *authzv1.Relationship) bool {
	return slices.ContainsFunc(all, func(other *authzv1.Relationship) bool { return proto.Equal(other, one) })
}

// UpdateRelationships stores what is written and forgets what is deleted.
func (r *Relationships) UpdateRelationships(ctx context.Context, q *authzv1.UpdateRelationshipsRequest) (*authzv1.UpdateRelationshipsResponse, error) {
	defer r.begin(ctx)()
	invalid := apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "no such change")
	if len(q.GetWrites())+len(q.GetDeletes()) == 0 {
		return nil, invalid.WithField("writes", "change", "name a relationship")
	}
	for _, p := range q.GetPreconditions() {
		if has(r.stored, p.GetRelationship()) != p.GetExists() {
			return nil, apierr.New(apierr.FailedPrecondition, "PRECONDITION_FAILED", "a precondition does not hold")
		}
	}
	for _, deleted := range q.GetDeletes() {
		if has(q.GetWrites(), deleted) {
			return nil, invalid.WithField("deletes", "change", "name a relationship once")
		}
	}
	r.stored = slices.DeleteFunc(r.stored, func(stored *authzv1.Relationship) bool { return has(q.GetDeletes(), stored) })
	for _, written := range q.GetWrites() {
		if !has(r.stored, written) {
			r.stored = append(r.stored, written)
		}
	}
	request.Wrote(ctx, r.Written())
	return &authzv1.UpdateRelationshipsResponse{ConsistencyToken: r.Written()}, nil
}

// ListRelationships returns those of the object that is asked for, or all.
func (r *Relationships) ListRelationships(ctx context.Context, q *authzv1.ListRelationshipsRequest) (*authzv1.ListRelationshipsResponse, error) {
	defer r.begin(ctx)()
	answer := &authzv1.ListRelationshipsResponse{}
	for _, stored := range r.stored {
		if q.GetObject() == "" || stored.GetObject() == q.GetObject() {
			answer.Relationships = append(answer.Relationships, stored)
		}
	}
	return answer, nil
}
