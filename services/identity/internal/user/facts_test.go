package user_test

import (
	"slices"
	"testing"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// What follows from facts is what the contract declares, and all of it is used: Authz refuses the
// rest.
func TestFactsAreDeclared(t *testing.T) {
	definition := meshtest.Definition(t)
	e, u := event.Event{Action: "user.created"}, user.User{ID: "u", OrganizationID: "o"}
	facts := []fact.Fact{
		user.NewCreation(e, u, &organization.Organization{ID: "o"}).Joined, user.NewCreation(e, u, nil).Joined,
		user.Deleted(e, u), user.Ended(e, "o"), organization.Created(e, "o"), organization.Deleted(e, "o"),
	}
	written := map[string]bool{}
	for _, f := range facts {
		change := f.Relationships
		for _, tuple := range slices.Concat(change.Writes, change.Deletes) {
			written[relation.Type(tuple.Object)+"#"+tuple.Relation] = true
			if !definition.Writes("identity", tuple) {
				t.Errorf("%s is written and not declared", tuple)
			}
		}
		if all := change.DeleteAllOf; all != "" && !definition.DeletesAll("identity", relation.Type(all)) {
			t.Errorf("all of %s is deleted, which is not declared", all)
		}
	}
	for _, want := range []string{"organization#member", "organization#owner", "organization#platform", "user#organization"} {
		if !written[want] {
			t.Errorf("%s is declared and not written", want)
		}
	}
}
