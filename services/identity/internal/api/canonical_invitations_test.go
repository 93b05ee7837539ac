package api_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// invite invites two people, one of whom accepts, and cancels the other's invitation.
func (f *fixed) invite(t *testing.T, organizationID string) {
	t.Helper()
	const ivy = "66666666-6666-4666-8666-666666666666"
	ctx := t.Context()
	by := func(requestID string) identityv1.InvitationServiceClient {
		claims := f.Tokens.Claims(ivy)
		claims.OrganizationID, claims.SessionID = organizationID, "session-1"
		return identityv1.NewInvitationServiceClient(f.Through("gateway", requestID, "authorization", "Bearer "+f.Tokens.Sign(claims)))
	}
	f.grants.Allow(ivy, "can_create_users", "organization:"+organizationID)
	ask := func(requestID, email string) string {
		t.Helper()
		r, err := by(requestID).InviteUser(ctx, &identityv1.InviteUserRequest{OrganizationId: organizationID, Email: email, DisplayName: "Max", Locale: "de"})
		check.NoError(t, err)
		id := r.GetUser().GetId()
		f.grants.Allow(ivy, "can_update", "user:"+id)
		f.grants.Allow(ivy, "can_delete", "user:"+id)
		return id
	}
	accepted, cancelled := ask("invited", "Max@example.com"), ask("invited-too", "moritz@example.com")
	_, err := by("resent").ResendInvitation(ctx, &identityv1.ResendInvitationRequest{UserId: accepted})
	check.NoError(t, err)
	_, err = identityv1.NewUserDirectoryServiceClient(f.Through("auth", "activated")).ActivateUser(ctx, &identityv1.ActivateUserRequest{Id: accepted})
	check.NoError(t, err)
	_, err = by("cancelled").CancelInvitation(ctx, &identityv1.CancelInvitationRequest{UserId: cancelled})
	check.NoError(t, err)
}
