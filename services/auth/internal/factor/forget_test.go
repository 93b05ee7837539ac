package factor_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// organizations stand in for those of Identity, which is beyond the mesh.
type organizations struct {
	there   map[string]bool
	fails   error
	refuses string // the one that cannot be looked at
	asked   int
}

func (o *organizations) HasOrganization(_ context.Context, id string) (bool, error) {
	o.asked++
	if o.refuses == id {
		return false, apierr.New(apierr.Internal, "BROKEN", "broken")
	}
	return o.there[id] && o.fails == nil, o.fails
}

// What an organization required goes within an hour of its deletion; that of another one stays, and
// while Identity does not answer all of it.
func TestPoliciesOfDeletedOrganizationsAreForgotten(t *testing.T) {
	db := postgrestest.Open(t)
	now := time.Now().Add(time.Minute)
	s := db.FactorService(func() time.Time { return now })
	kept, gone := uuid.NewString(), uuid.NewString()
	peer := &organizations{there: map[string]bool{kept: true, gone: true}}
	s.Organizations = peer
	for _, id := range []string{kept, gone} {
		_, err := s.SetPolicy(postgrestest.Request(t.Context(), "auth.sign_in_policy_set"), factor.Policy{OrganizationID: id, SecondFactorRequired: true})
		check.NoError(t, err)
	}
	required := func() (both [2]bool) {
		for i, id := range []string{kept, gone} {
			p, err := s.Policy(t.Context(), id)
			check.NoError(t, err)
			both[i] = p.SecondFactorRequired
		}
		return both
	}
	check.NoError(t, s.ForgetPolicies(t.Context()))
	if got := required(); got != [2]bool{true, true} || peer.asked != 2 {
		t.Fatalf("while both are there: %v, after %d questions", got, peer.asked)
	}
	delete(peer.there, gone)
	check.NoError(t, s.ForgetPolicies(t.Context()))
	if peer.asked != 2 {
		t.Errorf("asked %d times within the hour, want once for each", peer.asked)
	}
	now = now.Add(time.Hour)
	peer.fails = apierr.New(apierr.Unavailable, "DOWN", "down")
	if err := s.ForgetPolicies(t.Context()); err == nil || required() != [2]bool{true, true} {
		t.Errorf("without Identity: %v, %v", err, required())
	}
	now, peer.fails, peer.refuses = now.Add(time.Hour), nil, kept
	if err := s.ForgetPolicies(t.Context()); err == nil {
		t.Error("nothing is told of one that cannot be looked at")
	}
	if got := required(); got != [2]bool{true, false} {
		t.Errorf("after the deletion, beside one that cannot be looked at: %v", got)
	}
}
