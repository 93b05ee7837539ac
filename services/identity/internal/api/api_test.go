package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/api"
	"github.com/gatehouse/gatehouse/services/identity/internal/auth"
	"github.com/gatehouse/gatehouse/services/identity/internal/authz"
	"github.com/gatehouse/gatehouse/services/identity/internal/membership"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// service is Identity in memory: real chain, real database, an Auth whose LoginService the test can take down, and what Authz would answer.
type service struct {
	*grpctest.Server
	postgrestest.Database
	grants   *grpctest.Grants
	model    *model
	logins   *logins
	inviter  *inviter
	changes  *changes
	watching *user.Watching // the test looks for changes itself
	clock    *atomic.Int64  // seconds that each creation is later than the one before
}

func newService(t testing.TB, edit ...func(*grpctest.Config)) service {
	t.Helper()
	return newBoundService(t, 0, edit...)
}

// newBoundService is newService with a quota of users for personal organizations.
func newBoundService(t testing.TB, quota int, edit ...func(*grpctest.Config)) service {
	t.Helper()
	s := service{
		Database: postgrestest.New(t), grants: grpctest.NewGrants(), model: &model{}, logins: &logins{}, inviter: &inviter{}, clock: &atomic.Int64{},
	}
	authServer := grpctest.New(t, grpctest.Config{Program: "auth", Registrations: []grpcserver.Registration{
		{Desc: &authv1.LoginService_ServiceDesc, Impl: s.logins},
		{Desc: &authv1.InvitationService_ServiceDesc, Impl: s.inviter},
	}})
	authzServer := grpctest.New(t, grpctest.Config{Program: "authz", Registrations: []grpcserver.Registration{
		{Desc: &authzv1.AuthzService_ServiceDesc, Impl: s.model},
	}})
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(s.clock.Add(1)) * time.Second) }
	users := user.NewService(user.Params{
		Store: s.Users, Deletions: s.Users, Standings: s.Users, Quota: quota, Now: now, NewID: uuid.NewString,
		Departures: authz.NewDepartures(authzv1.NewAuthzServiceClient(authzServer.As("identity"))),
		Logins:     auth.NewLogins(authv1.NewLoginServiceClient(authServer.As("identity"))),

		Invitations:     auth.NewInvitations(authv1.NewInvitationServiceClient(authServer.As("identity"))),
		InvitationStore: s.Users,
	})
	organizations := organization.NewService(s.Organizations, now)
	permissions := authz.NewPermissions(authzv1.NewAuthzServiceClient(authzServer.As("identity")), s.grants, time.Now)
	s.changes = &changes{ChangeStore: s.Users}
	s.watching = user.NewWatching(s.changes, user.Heartbeat)
	userService, err := api.NewUserService(users, membership.NewService(users, organizations, permissions), s.watching,
		cursor.NewTexts(s.Users, user.TellFor, time.Now))
	check.NoError(t, err)
	organizationDirectory, err := api.NewOrganizationDirectoryService(organizations)
	check.NoError(t, err)
	c := grpctest.Config{Program: "identity", Permissions: s.grants, Callers: grpctest.Consenting(t), Registrations: []grpcserver.Registration{
		{Desc: &identityv1.UserService_ServiceDesc, Impl: userService},
		{Desc: &identityv1.InvitationService_ServiceDesc, Impl: api.NewInvitationService(users)},
		{Desc: &identityv1.UserDirectoryService_ServiceDesc, Impl: api.NewUserDirectoryService(users)},
		{Desc: &identityv1.OrganizationDirectoryService_ServiceDesc, Impl: organizationDirectory},
	}}
	for _, e := range edit {
		e(&c)
	}
	s.Server = grpctest.New(t, c)
	return s
}

// changes is what watchers read, until it fails.
type changes struct {
	user.ChangeStore
	broken atomic.Bool
}

func (c *changes) Changes(ctx context.Context, scope user.Scope, after cursor.Cursor, limit int) ([]cursor.Row[user.Change], cursor.Head, error) {
	if c.broken.Load() {
		return nil, cursor.Head{}, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	}
	return c.ChangeStore.Changes(ctx, scope, after, limit)
}

// model is Authz, as far as it is asked for its model and before deletions.
type model struct {
	authzv1.UnimplementedAuthzServiceServer
	down     atomic.Bool
	keep     atomic.Bool // refuses departures
	reserved atomic.Pointer[authzv1.ReserveDepartureRequest]
	settled  atomic.Pointer[authzv1.SettleSuspensionRequest]
}

func (m *model) ReserveDeparture(_ context.Context, r *authzv1.ReserveDepartureRequest) (*authzv1.ReserveDepartureResponse, error) {
	m.reserved.Store(r)
	switch {
	case m.down.Load():
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	case m.keep.Load():
		return nil, apierr.New(apierr.FailedPrecondition, "LAST_ADMINISTRATOR", "make another user an administrator first")
	}
	return &authzv1.ReserveDepartureResponse{}, nil
}

func (m *model) GetModel(context.Context, *authzv1.GetModelRequest) (*authzv1.GetModelResponse, error) {
	if m.down.Load() {
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	}
	return &authzv1.GetModelResponse{Id: "1", Types: []*authzv1.ObjectType{
		{Name: "organization", Relations: []string{"can_list_users", "can_read", "member", "owner"}},
		{Name: "platform", Relations: []string{"administrator", "can_create_users", "can_list_users"}},
		{Name: "user", Relations: []string{"can_read", "organization"}},
	}}, nil
}

// logins is Auth's LoginService.
type logins struct {
	authv1.UnimplementedLoginServiceServer
	down    atomic.Bool
	removed atomic.Value // string

	told, restored atomic.Value // the last requests, proto.Message
}

func (l *logins) RemoveLogin(_ context.Context, r *authv1.RemoveLoginRequest) (*authv1.RemoveLoginResponse, error) {
	if l.down.Load() {
		return nil, apierr.New(apierr.Unavailable, "DATABASE_UNAVAILABLE", "the database does not answer")
	}
	l.removed.Store(r.GetUserId())
	return &authv1.RemoveLoginResponse{}, nil
}

// signedUp creates a user as Auth does.
func (s service) signedUp(t testing.TB) *identityv1.User {
	t.Helper()
	r, err := identityv1.NewUserDirectoryServiceClient(s.As("auth")).RegisterUser(t.Context(), &identityv1.RegisterUserRequest{
		Id: uuid.NewString(), Email: "ada@example.com", DisplayName: "Ada",
	})
	check.NoError(t, err)
	return r.GetUser()
}

// as is the connection of a signed-in user, through the gateway.
func (s service) as(u *identityv1.User) identityv1.UserServiceClient {
	claims := s.Tokens.Claims(u.GetId())
	claims.OrganizationID = u.GetOrganizationId()
	return identityv1.NewUserServiceClient(s.AsUser(claims))
}

func (s service) wantStored(t *testing.T, want *identityv1.User) {
	t.Helper()
	got, err := s.as(want).GetUser(t.Context(), &identityv1.GetUserRequest{Id: want.GetId()})
	check.NoError(t, err)
	if !proto.Equal(got.GetUser(), want) {
		t.Fatalf("got %v, want %v", got.GetUser(), want)
	}
}

func TestRegisterAndGetUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewUserDirectoryServiceClient(s.As("auth"))
	u := s.signedUp(t)
	if uuid.Validate(u.GetOrganizationId()) != nil || u.GetEmail() != "ada@example.com" || u.GetDisplayName() != "Ada" ||
		u.GetEtag() == "" || !u.GetCreateTime().IsValid() || !proto.Equal(u.GetCreateTime(), u.GetUpdateTime()) {
		t.Fatalf("got %v", u)
	}
	s.wantStored(t, u)

	again, err := directory.RegisterUser(t.Context(), &identityv1.RegisterUserRequest{Id: u.GetId(), Email: u.GetEmail()})
	check.NoError(t, err)
	if !proto.Equal(again.GetUser(), u) {
		t.Fatalf("got %v, want %v", again.GetUser(), u)
	}
	_, err = directory.RegisterUser(t.Context(), &identityv1.RegisterUserRequest{Id: u.GetId(), Email: "b@example.com"})
	wantError(t, err, apierr.AlreadyExists, "USER_ID_TAKEN")
	_, err = directory.RegisterUser(t.Context(), &identityv1.RegisterUserRequest{
		Id: uuid.NewString(), Email: "b@example.com", OrganizationId: uuid.NewString(),
	})
	wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
}

// Everything that breaks a rule of the contract is refused before it reaches a handler, and names its field.
func TestRegisterUserRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewUserDirectoryServiceClient(s.As("auth"))
	good := &identityv1.RegisterUserRequest{Id: uuid.NewString(), Email: "ada@example.com"}
	for path, edit := range map[string]func(r *identityv1.RegisterUserRequest){
		"id":              func(r *identityv1.RegisterUserRequest) { r.Id = "1" },
		"organization_id": func(r *identityv1.RegisterUserRequest) { r.OrganizationId = "1" },
		"email":           func(r *identityv1.RegisterUserRequest) { r.Email = "ada" },
		"display_name":    func(r *identityv1.RegisterUserRequest) { r.DisplayName = "a\x00" },
	} {
		r := proto.CloneOf(good)
		edit(r)
		_, err := directory.RegisterUser(t.Context(), r)
		wantViolation(t, err, path, "")
	}
}

// R50: the contract's consent is enforced by the service too, whatever the mesh does.
func TestOnlyConsentedProgramsRegisterUsers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	r := &identityv1.RegisterUserRequest{Id: uuid.NewString(), Email: "ada@example.com"}
	for name, conn := range map[string]*grpc.ClientConn{
		"gateway": s.As("gateway"), "stranger": s.As("billing"), "no caller": s.Dial(), "a person": s.AsUser(s.Tokens.Claims(r.GetId())),
	} {
		_, err := identityv1.NewUserDirectoryServiceClient(conn).RegisterUser(t.Context(), r)
		if apierr.PermissionDenied != failure(t, err).Kind {
			t.Errorf("%s: got %v, want PERMISSION_DENIED", name, err)
		}
	}
}

// R52: a foreign id, an unknown id and one's own id with a token of another organization are answered alike, to the letter.
func TestForeignUsersLookUnknown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u, foreign := s.signedUp(t), s.signedUp(t)
	moved := proto.CloneOf(u)
	moved.OrganizationId = foreign.GetOrganizationId()
	broken := proto.CloneOf(u)
	broken.OrganizationId = "not-a-uuid"
	gone := &identityv1.User{Id: uuid.NewString(), OrganizationId: uuid.NewString()}
	var texts []string
	for _, c := range []struct {
		client identityv1.UserServiceClient
		id     string
	}{{s.as(u), foreign.GetId()}, {s.as(u), gone.GetId()}, {s.as(moved), u.GetId()}, {s.as(broken), u.GetId()}, {s.as(gone), gone.GetId()}} {
		_, getError := c.client.GetUser(t.Context(), &identityv1.GetUserRequest{Id: c.id})
		_, updateError := c.client.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: c.id, DisplayName: "x"}})
		_, deleteError := c.client.DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: c.id})
		for _, err := range []error{getError, updateError, deleteError} {
			wantError(t, err, apierr.NotFound, "USER_NOT_FOUND")
			texts = append(texts, status.Convert(err).Proto().String())
		}
	}
	if texts = slices.Compact(texts); len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
	s.wantStored(t, u)
	s.wantStored(t, foreign)
}

// One's own id in upper case is one's own id: no permission is asked for, and what happens is about
// the user as stored.
func TestOwnIDInUpperCase(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.signedUp(t)
	own, upper := s.as(u), strings.ToUpper(u.GetId())
	got, err := own.GetUser(t.Context(), &identityv1.GetUserRequest{Id: upper})
	check.NoError(t, err)
	if got.GetUser().GetId() != u.GetId() {
		t.Errorf("got user %s, want %s", got.GetUser().GetId(), u.GetId())
	}
	_, err = own.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: upper, DisplayName: "x"}})
	check.NoError(t, err)
	_, err = own.DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: upper})
	check.NoError(t, err)
	if asked := s.grants.Asked(); len(asked) != 0 {
		t.Errorf("asked for permissions: %v", asked)
	}
}

func TestDeleteUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.signedUp(t)
	_, err := s.as(u).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: u.GetId(), Etag: "stale"})
	wantError(t, err, apierr.Aborted, "ETAG_MISMATCH")
	s.wantStored(t, u)

	s.logins.down.Store(true)
	_, err = s.as(u).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: u.GetId(), Etag: u.GetEtag()})
	wantError(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	if failure(t, err).RetryAfter <= 0 {
		t.Error("the answer does not say when to come back")
	}
	_, err = s.as(u).GetUser(t.Context(), &identityv1.GetUserRequest{Id: u.GetId()})
	wantError(t, err, apierr.NotFound, "USER_NOT_FOUND")

	s.logins.down.Store(false)
	_, err = s.as(u).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: u.GetId()})
	check.NoError(t, err)
	if s.logins.removed.Load() != u.GetId() {
		t.Errorf("the login of %v was removed, want %s", s.logins.removed.Load(), u.GetId())
	}
	_, err = identityv1.NewOrganizationDirectoryServiceClient(s.As("auth")).
		GetOrganization(t.Context(), &identityv1.GetOrganizationRequest{Id: u.GetOrganizationId()})
	wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
}

// failure reads the status as another program would.
func failure(t *testing.T, err error) *apierr.Error {
	t.Helper()
	if err == nil {
		t.Fatal("the call succeeded")
	}
	return rpcstatus.ToError(status.Convert(err))
}

func wantError(t *testing.T, err error, kind apierr.Kind, reason string) {
	t.Helper()
	if got := failure(t, err); !errors.Is(got, apierr.New(kind, reason, "")) {
		t.Fatalf("got %v, want %s", err, reason)
	}
}

// wantViolation fails unless err is INVALID_ARGUMENT that names exactly this field, and this rule if one is given.
func wantViolation(t *testing.T, err error, path, rule string) {
	t.Helper()
	got := failure(t, err)
	if got.Kind != apierr.InvalidArgument || len(got.Fields) != 1 || got.Fields[0].Path != path || rule != "" && got.Fields[0].Rule != rule {
		t.Fatalf("got %v with %+v, want a violation of %s by %s", err, got.Fields, path, rule)
	}
}

// R89: Authz is asked before a deletion begins, for whom it is, and what it refuses does not begin.
func TestDeleteUserAsksAuthz(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.signedUp(t)
	remove := func() error {
		_, err := s.as(u).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: u.GetId()})
		return err
	}
	s.model.keep.Store(true)
	wantError(t, remove(), apierr.FailedPrecondition, "LAST_ADMINISTRATOR")
	s.wantStored(t, u)
	s.model.down.Store(true)
	wantError(t, remove(), apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	s.wantStored(t, u)
	if removed := s.logins.removed.Load(); removed != nil {
		t.Fatalf("the login of %v was removed", removed)
	}
	s.model.keep.Store(false)
	s.model.down.Store(false)
	check.NoError(t, remove())
	r := s.model.reserved.Load()
	if r.GetUserId() != u.GetId() || r.GetEndingOrganizationId() != u.GetOrganizationId() || r.GetOrigin().GetActorId() != u.GetId() || r.GetOrigin().GetRequestId() == "" {
		t.Errorf("asked %v for user %v", r, u)
	}
}
