package user_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Addresses have one rule (internal/address), also in filters: A to Z are a to z, and what other
// rules take for these letters is another address (issue 8, line 16).
func TestAddressesHaveOneRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, _, err := w.Register(drafted(t), user.New{ID: uuid.NewString(), Email: "Kim.Sik@Example.com"})
	check.NoError(t, err)
	if u.Email != "kim.sik@example.com" {
		t.Errorf("stored as %q", u.Email)
	}
	for address, want := range map[string]int{
		"kim.sik@example.com": 1, "KIM.SIK@EXAMPLE.COM": 1,
		"\u212Aim.sik@example.com": 0, "kim.\u017Fik@example.com": 0, "k\u0130m.sik@example.com": 0, "k\u0131m.sik@example.com": 0, "\uFF4Bim.sik@example.com": 0,
	} {
		found, _, err := w.List(t.Context(), user.In(u.OrganizationID), resource.Query{Where: []resource.Condition{{Field: "email", Op: resource.Equal, Value: address}}})
		if err != nil || len(found) != want {
			t.Errorf("the filter %q finds %d users, %v; want %d", address, len(found), err, want)
		}
	}
	_, _, err = w.Register(drafted(t), user.New{ID: u.ID, Email: "\u212Aim.sik@example.com"})
	wantReason(t, err, apierr.AlreadyExists, "USER_ID_TAKEN")
}
