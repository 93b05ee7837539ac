package conformance

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
)

// Relationships is a running RelationshipService.
type Relationships struct {
	Server *grpctest.Server
	// Administrator is the id of a user who may write relationships.
	Administrator string
}

// Run runs the cases, each with objects of its own. None depends on what the model derives, of
// which the stand-in knows nothing.
func (r Relationships) Run(t *testing.T) {
	for name, run := range map[string]func(t *testing.T){
		"written and deleted": r.written,
		"refused":             r.refuses,
	} {
		t.Run(name, run)
	}
}

func (r Relationships) service() authzv1.RelationshipServiceClient {
	return authzv1.NewRelationshipServiceClient(r.Server.AsUser(r.Server.Tokens.Claims(r.Administrator)))
}

// fresh is a relationship that nobody else has.
func fresh() *authzv1.Relationship {
	return &authzv1.Relationship{Object: "organization:" + uuid.NewString(), Relation: "member", Subject: "user:" + uuid.NewString()}
}

func (r Relationships) written(t *testing.T) {
	service, one := r.service(), fresh()
	has := func(want bool, token string) {
		t.Helper()
		answer, err := service.CheckRelationship(t.Context(), &authzv1.CheckRelationshipRequest{
			Object: one.GetObject(), Relation: one.GetRelation(), Subject: one.GetSubject(), ConsistencyToken: token,
		})
		check.NoError(t, err)
		list, err := service.ListRelationships(t.Context(), &authzv1.ListRelationshipsRequest{Object: one.GetObject()})
		check.NoError(t, err)
		there := len(list.GetRelationships()) == 1 && proto.Equal(list.GetRelationships()[0], one)
		if answer.GetAllowed() != want || there != want {
			t.Errorf("allowed %t, listed %v; want %t", answer.GetAllowed(), list.GetRelationships(), want)
		}
	}
	has(false, "")
	for range 2 { // what is there already is not an error
		w, err := service.UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{Writes: []*authzv1.Relationship{one}})
		check.NoError(t, err)
		if _, err := request.ParseToken(w.GetConsistencyToken()); err != nil {
			t.Errorf("the token %q: %v", w.GetConsistencyToken(), err)
		}
		has(true, w.GetConsistencyToken())
	}
	w, err := service.UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{Deletes: []*authzv1.Relationship{one}})
	check.NoError(t, err)
	has(false, w.GetConsistencyToken())
}

func (r Relationships) refuses(t *testing.T) {
	one := fresh()
	_, err := r.service().UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{})
	refused(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT", "writes change")
	_, err = r.service().UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{
		Writes: []*authzv1.Relationship{one}, Deletes: []*authzv1.Relationship{one},
	})
	refused(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT", "deletes change")
	_, err = r.service().UpdateRelationships(t.Context(), &authzv1.UpdateRelationshipsRequest{
		Writes: []*authzv1.Relationship{fresh()}, Preconditions: []*authzv1.Precondition{{Relationship: one, Exists: true}},
	})
	refused(t, err, apierr.FailedPrecondition, "PRECONDITION_FAILED")
}
