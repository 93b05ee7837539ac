package login_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// What follows from a bootstrap is what the contract declares: Authz refuses the rest.
func TestAdministratorsAreDeclared(t *testing.T) {
	definition := meshtest.Definition(t)
	change := login.Administrators("u")
	if len(change.Writes) != 1 || !definition.Writes("auth", change.Writes[0]) || len(change.Deletes) > 0 || change.DeleteAllOf != "" {
		t.Errorf("%+v is not declared", change)
	}
	stranger := change.Writes[0]
	stranger.Subject = "group:g#member"
	if definition.Writes("auth", stranger) || definition.Writes("audit", change.Writes[0]) {
		t.Error("more is declared")
	}
}
