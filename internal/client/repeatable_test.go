package client

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// Every method that changes something and is still repeated stands here, so that a new one is
// looked at.
func TestRepeatableChanges(t *testing.T) {
	contracts := meshtest.Contract(t)
	var got []string
	for _, m := range contracts.Methods() {
		switch {
		case m.LongLived: // never repeated
		case m.ReadOnly && !repeatable(m):
			t.Errorf("%s changes nothing and is not repeated", m.FullName)
		case !m.ReadOnly && repeatable(m):
			got = append(got, m.FullName[strings.LastIndex(m.FullName, "/")+1:])
		}
	}
	if want := []string{
		"InviteLogin", "RemoveLogin", "RestoreLogin", "SuspendLogin", "ReserveDeparture", "SettleSuspension", "WriteRelationships", "CreateOrganization", "ActivateUser",
		"RegisterUser", "SetUserEmail",
	}; !slices.Equal(got, want) {
		t.Errorf("repeated are %v, want %v", got, want)
	}
}
