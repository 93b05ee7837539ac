package api_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/test/conformance"
)

// What stands in for Identity in the gateway's tests answers as this does.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := newService(t)
	conformance.Users{
		Server: s.Server, Grants: s.grants,
		SignUp: func(t testing.TB, email string) *identityv1.User {
			t.Helper()
			r, err := identityv1.NewUserDirectoryServiceClient(s.As("auth")).RegisterUser(t.Context(), &identityv1.RegisterUserRequest{
				Id: uuid.NewString(), Email: email, DisplayName: "Ada",
			})
			check.NoError(t, err)
			return r.GetUser()
		},
	}.Run(t)
}
