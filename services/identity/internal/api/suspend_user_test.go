package api_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

func (l *logins) SuspendLogin(_ context.Context, r *authv1.SuspendLoginRequest) (*authv1.SuspendLoginResponse, error) {
	if l.down.Load() {
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	}
	l.told.Store(r)
	return &authv1.SuspendLoginResponse{}, nil
}

func (l *logins) RestoreLogin(_ context.Context, r *authv1.RestoreLoginRequest) (*authv1.RestoreLoginResponse, error) {
	if l.down.Load() {
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	}
	l.restored.Store(r)
	return &authv1.RestoreLoginResponse{}, nil
}

func (m *model) SettleSuspension(_ context.Context, r *authzv1.SettleSuspensionRequest) (*authzv1.SettleSuspensionResponse, error) {
	if m.down.Load() {
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	}
	m.settled.Store(r)
	return &authzv1.SettleSuspensionResponse{}, nil
}

func suspend(t *testing.T, c identityv1.UserServiceClient, id string) (*identityv1.User, error) {
	t.Helper()
	r, err := c.SuspendUser(t.Context(), &identityv1.SuspendUserRequest{Id: id})
	return r.GetUser(), err
}

func restore(t *testing.T, c identityv1.UserServiceClient, id string) (*identityv1.User, error) {
	t.Helper()
	r, err := c.RestoreUser(t.Context(), &identityv1.RestoreUserRequest{Id: id})
	return r.GetUser(), err
}

// Who may suspend a user does, and restores; Auth and Authz are told with the user's revision, and
// the trail says who did it and in whose organization (R66).
func TestSuspendAndRestoreUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	administrator, u := s.signedUp(t), s.signedUp(t)
	client := s.as(administrator)
	s.grants.Allow(administrator.GetId(), "can_suspend", "user:"+u.GetId())
	suspended, err := suspend(t, client, u.GetId())
	check.NoError(t, err)
	if suspended.GetState() != identityv1.User_STATE_SUSPENDED || suspended.GetEtag() == u.GetEtag() {
		t.Errorf("got %v", suspended)
	}
	want := &authv1.SuspendLoginRequest{UserId: u.GetId(), Revision: 2}
	if told := s.logins.told.Load(); !proto.Equal(told.(proto.Message), want) {
		t.Errorf("Auth was told %v", told)
	}
	if r := s.model.reserved.Load(); r.GetSuspensionRevision() != 2 || r.GetEndingOrganizationId() != u.GetOrganizationId() || r.GetUserId() != u.GetId() {
		t.Errorf("Authz was asked %v", r)
	}
	if r := s.model.settled.Load(); !r.GetSuspended() || r.GetRevision() != 2 || r.GetUserId() != u.GetId() {
		t.Errorf("Authz was told %v", r)
	}
	s.wantStored(t, suspended)
	restored, err := restore(t, client, u.GetId())
	check.NoError(t, err)
	if restored.GetState() != identityv1.User_STATE_ACTIVE {
		t.Errorf("got %v", restored)
	}
	if told := s.logins.restored.Load(); !proto.Equal(told.(proto.Message), &authv1.RestoreLoginRequest{UserId: u.GetId(), Revision: 3}) {
		t.Errorf("Auth was told %v", told)
	}
	if r := s.model.settled.Load(); r.GetSuspended() || r.GetRevision() != 3 {
		t.Errorf("Authz was told %v", r)
	}
	var actions []string
	for _, e := range s.Events(t)[len(s.Events(t))-2:] {
		actions = append(actions, e.Action)
		if e.OrganizationID != u.GetOrganizationId() || e.ObjectID != u.GetId() || e.Actor.ID != administrator.GetId() || e.Actor.Type != event.User {
			t.Errorf("%s of %s: got %+v in %s", e.Action, e.ObjectID, e.Actor, e.OrganizationID)
		}
	}
	if !slices.Equal(actions, []string{"user.suspended", "user.restored"}) {
		t.Errorf("recorded %v", actions)
	}
}

// R52: whose user one may not suspend is unknown, to the letter; nobody suspends themselves; and
// what Authz or Auth refuse or do not answer is said (R89).
func TestRefusedSuspensionsOfUsers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	administrator, u := s.signedUp(t), s.signedUp(t)
	client := s.as(administrator)
	for _, change := range []func(*testing.T, identityv1.UserServiceClient, string) (*identityv1.User, error){suspend, restore} {
		_, foreign := change(t, client, u.GetId())
		_, unknown := change(t, client, uuid.NewString())
		_, oneself := change(t, client, administrator.GetId())
		for _, err := range []error{foreign, unknown, oneself} {
			wantError(t, err, apierr.NotFound, "USER_NOT_FOUND")
		}
		if foreign.Error() != unknown.Error() {
			t.Errorf("a foreign user is %v, an unknown one %v", foreign, unknown)
		}
	}
	s.grants.Allow(administrator.GetId(), "can_suspend", "user:"+administrator.GetId())
	s.grants.Allow(administrator.GetId(), "can_suspend", "user:"+u.GetId())
	_, err := suspend(t, client, administrator.GetId())
	wantError(t, err, apierr.FailedPrecondition, "SELF_SUSPENSION")
	s.model.keep.Store(true)
	_, err = suspend(t, client, u.GetId())
	wantError(t, err, apierr.FailedPrecondition, "LAST_ADMINISTRATOR")
	s.model.keep.Store(false)
	s.model.down.Store(true)
	_, err = suspend(t, client, u.GetId())
	wantError(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	s.model.down.Store(false)
	s.wantStored(t, u)
	s.wantStored(t, administrator)
	s.logins.down.Store(true)
	_, err = suspend(t, client, u.GetId())
	wantError(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	s.logins.down.Store(false)
	page, err := suspend(t, client, u.GetId())
	if err != nil || page.GetState() != identityv1.User_STATE_SUSPENDED || s.logins.told.Load() == nil {
		t.Errorf("repeated: %v, %v, Auth was told %v", page, err, s.logins.told.Load())
	}
}
