package api_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// inviter is Auth's InvitationService.
type inviter struct {
	authv1.UnimplementedInvitationServiceServer
	mu    sync.Mutex
	fails error // of calls that mail
	none  error // of all calls
	asked []*authv1.InviteLoginRequest
}

func (i *inviter) InviteLogin(_ context.Context, r *authv1.InviteLoginRequest) (*authv1.InviteLoginResponse, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case i.none != nil:
		return nil, i.none
	case r.GetValidateOnly():
		return &authv1.InviteLoginResponse{}, nil
	}
	i.asked = append(i.asked, r)
	return &authv1.InviteLoginResponse{}, i.fails
}

// invitations is the connection of a signed-in user.
func (s service) invitations(u *identityv1.User) identityv1.InvitationServiceClient {
	claims := s.Tokens.Claims(u.GetId())
	claims.OrganizationID = u.GetOrganizationId()
	return identityv1.NewInvitationServiceClient(s.AsUser(claims))
}

// An invited user is listed as such, and active once Auth says so. A failure of Auth is not the
// inviter's.
func TestInviteUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.importer(t)
	s.inviter.fails = apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	invited, err := s.invitations(ada).InviteUser(t.Context(), &identityv1.InviteUserRequest{
		OrganizationId: ada.GetOrganizationId(), Email: "Grace@Example.com", DisplayName: "Grace", Locale: "de",
	})
	check.NoError(t, err)
	grace := invited.GetUser()
	if r := s.inviter.asked[0]; r.GetUserId() != grace.GetId() || r.GetEmail() != "grace@example.com" || r.GetRevision() != 1 || r.GetLanguage() != "de" || r.GetDisplayName() != "Grace" {
		t.Errorf("asked %v", r)
	}
	s.grants.Allow(ada.GetId(), "can_list_users", "organization:"+ada.GetOrganizationId())
	list := &identityv1.ListUsersRequest{OrganizationId: ada.GetOrganizationId(), Filter: "state = STATE_INVITED"}
	page, err := s.as(ada).ListUsers(t.Context(), list)
	if err != nil || len(page.GetUsers()) != 1 || page.GetUsers()[0].GetId() != grace.GetId() || page.GetUsers()[0].GetState() != identityv1.User_STATE_INVITED {
		t.Errorf("listed %v, %v", page, err)
	}
	directory := identityv1.NewUserDirectoryServiceClient(s.As("auth"))
	for range 2 {
		r, err := directory.ActivateUser(t.Context(), &identityv1.ActivateUserRequest{Id: grace.GetId()})
		if err != nil || r.GetUser().GetState() != identityv1.User_STATE_ACTIVE || r.GetConsistencyToken() == "" {
			t.Errorf("activated %v, %v", r, err)
		}
	}
	if page, err = s.as(ada).ListUsers(t.Context(), list); err != nil || len(page.GetUsers()) != 0 {
		t.Errorf("listed %v, %v", page, err)
	}
	var actions []string
	for _, e := range s.Events(t) {
		if e.ObjectID == grace.GetId() {
			actions = append(actions, e.Action)
			if e.OrganizationID != ada.GetOrganizationId() {
				t.Errorf("%s is recorded in organization %q", e.Action, e.OrganizationID)
			}
		}
	}
	if len(actions) != 2 || actions[0] != "user.invited" || actions[1] != "user.activated" {
		t.Errorf("recorded %v", actions)
	}
}

// R52: of other organizations nobody invites, sends again or cancels, and learns nothing; R95: the
// quota binds invitations, too.
func TestInvitationsOfOthers(t *testing.T) {
	t.Parallel()
	s := newBoundService(t, 2)
	ada, eve := s.importer(t), s.importer(t)
	invite := func(by *identityv1.User, organizationID, email string) (*identityv1.InviteUserResponse, error) {
		return s.invitations(by).InviteUser(t.Context(), &identityv1.InviteUserRequest{OrganizationId: organizationID, Email: email})
	}
	invited, err := invite(ada, ada.GetOrganizationId(), "grace@example.com")
	check.NoError(t, err)
	grace := invited.GetUser()
	_, err = invite(ada, ada.GetOrganizationId(), "b@example.com")
	wantError(t, err, apierr.FailedPrecondition, "ORGANIZATION_FULL")
	for _, organizationID := range []string{ada.GetOrganizationId(), uuid.NewString()} {
		_, err = invite(eve, organizationID, "c@example.com")
		wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
	}
	var texts []string
	for _, id := range []string{grace.GetId(), ada.GetId(), uuid.NewString()} {
		_, resent := s.invitations(eve).ResendInvitation(t.Context(), &identityv1.ResendInvitationRequest{UserId: id})
		_, cancelled := s.invitations(eve).CancelInvitation(t.Context(), &identityv1.CancelInvitationRequest{UserId: id})
		for _, err := range []error{resent, cancelled} {
			wantError(t, err, apierr.NotFound, "USER_NOT_FOUND")
			texts = append(texts, status.Convert(err).Proto().String())
		}
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("the answers differ: %s, %s", texts[0], text)
		}
	}
	s.grants.Allow(ada.GetId(), "can_update", "user:"+grace.GetId())
	s.grants.Allow(ada.GetId(), "can_delete", "user:"+grace.GetId())
	_, err = s.invitations(ada).ResendInvitation(t.Context(), &identityv1.ResendInvitationRequest{UserId: grace.GetId()})
	check.NoError(t, err)
	_, err = s.invitations(ada).CancelInvitation(t.Context(), &identityv1.CancelInvitationRequest{UserId: grace.GetId()})
	check.NoError(t, err)
	if s.logins.removed.Load() != grace.GetId() {
		t.Errorf("the login of %v was removed", s.logins.removed.Load())
	}
	_, err = invite(ada, ada.GetOrganizationId(), "b@example.com") // the place is free again
	check.NoError(t, err)
}

// What is not Auth's to say of itself, and what is.
func TestInvitationsThatAuthRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ada := s.importer(t)
	r := &identityv1.InviteUserRequest{OrganizationId: ada.GetOrganizationId(), Email: "grace@example.com"}
	s.inviter.none = apierr.New(apierr.FailedPrecondition, "MAIL_NOT_CONFIGURED", "no mail is configured: set GATEHOUSE_MAIL_SMTP_URL")
	_, err := s.invitations(ada).InviteUser(t.Context(), r)
	wantError(t, err, apierr.FailedPrecondition, "MAIL_NOT_CONFIGURED")
	s.inviter.none = apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	_, err = s.invitations(ada).InviteUser(t.Context(), r)
	wantError(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	s.wantUsers(t, ada, 1)
	_, err = identityv1.NewUserDirectoryServiceClient(s.As("gateway")).ActivateUser(t.Context(), &identityv1.ActivateUserRequest{Id: ada.GetId()}) // R50
	if failure(t, err).Kind != apierr.PermissionDenied {
		t.Errorf("the gateway activates: %v", err)
	}
}
