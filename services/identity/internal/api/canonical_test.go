package api_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/api"
	"github.com/gatehouse/gatehouse/services/identity/internal/auth"
	"github.com/gatehouse/gatehouse/services/identity/internal/authz"
	"github.com/gatehouse/gatehouse/services/identity/internal/membership"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// fixed is Identity with a clock in the test's hand, and ids and salts that are always the same.
type fixed struct {
	*grpctest.Server
	postgrestest.Database
	users  *user.Service
	grants *grpctest.Grants
	model  *model
	logins *logins
	now    time.Time
}

func newFixed(t *testing.T) *fixed {
	t.Helper()
	f := &fixed{Database: postgrestest.New(t), grants: grpctest.NewGrants(), model: &model{}, logins: &logins{}, now: outboxtest.Now()}
	box := outboxtest.Fixed(t, f.Pool, "identity")
	clock := func() time.Time { return f.now }
	authServer := grpctest.New(t, grpctest.Config{Program: "auth", Registrations: []grpcserver.Registration{
		{Desc: &authv1.LoginService_ServiceDesc, Impl: f.logins},
		{Desc: &authv1.InvitationService_ServiceDesc, Impl: &inviter{}},
	}})
	authzServer := grpctest.New(t, grpctest.Config{Program: "authz", Registrations: []grpcserver.Registration{
		{Desc: &authzv1.AuthzService_ServiceDesc, Impl: f.model},
	}})
	authzClient := authzv1.NewAuthzServiceClient(authzServer.As("identity"))
	stored := postgres.NewUsers(f.Pool, box)
	f.users = user.NewService(user.Params{
		Store: stored, Deletions: stored, Standings: stored, Now: clock, NewID: outboxtest.IDs(4),
		Departures: authz.NewDepartures(authzClient), Logins: auth.NewLogins(authv1.NewLoginServiceClient(authServer.As("identity"))),
		Invitations: auth.NewInvitations(authv1.NewInvitationServiceClient(authServer.As("identity"))), InvitationStore: stored,
	})
	organizations := organization.NewService(postgres.NewOrganizations(f.Pool, box), clock)
	userService, err := api.NewUserService(f.users, membership.NewService(f.users, organizations, authz.NewPermissions(authzClient, f.grants, clock)),
		user.NewWatching(stored, user.Heartbeat), cursor.NewTexts(stored, user.TellFor, clock))
	check.NoError(t, err)
	organizationDirectory, err := api.NewOrganizationDirectoryService(organizations)
	check.NoError(t, err)
	f.Server = grpctest.New(t, grpctest.Config{
		Program: "identity", Permissions: f.grants, Callers: grpctest.Consenting(t), Refusals: outboxtest.Refusals(t, box),
		Registrations: []grpcserver.Registration{
			{Desc: &identityv1.UserService_ServiceDesc, Impl: userService},
			{Desc: &identityv1.InvitationService_ServiceDesc, Impl: api.NewInvitationService(f.users)},
			{Desc: &identityv1.UserDirectoryService_ServiceDesc, Impl: api.NewUserDirectoryService(f.users)},
			{Desc: &identityv1.OrganizationDirectoryService_ServiceDesc, Impl: organizationDirectory},
		},
	})
	return f
}

// by is the connection of a signed-in user of an organization.
func (f *fixed) by(userID, organizationID, requestID string) identityv1.UserServiceClient {
	claims := f.Tokens.Claims(userID)
	claims.OrganizationID, claims.SessionID = organizationID, "session-1"
	return identityv1.NewUserServiceClient(f.Through("gateway", requestID, "authorization", "Bearer "+f.Tokens.Sign(claims)))
}

// R66, R67: what each audited method, and each thing that happens without one, writes to the
// outbox: the same bytes for ever.
func TestCanonicalEvents(t *testing.T) {
	f, ctx := newFixed(t), t.Context()
	const (
		ada, root    = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
		bob, company = "33333333-3333-4333-8333-333333333333", "44444444-4444-4444-8444-444444444444"
	)
	users := func(requestID string) identityv1.UserDirectoryServiceClient {
		return identityv1.NewUserDirectoryServiceClient(f.Through("auth", requestID))
	}
	organizations := func(requestID string) identityv1.OrganizationDirectoryServiceClient {
		return identityv1.NewOrganizationDirectoryServiceClient(f.Through("billing", requestID))
	}
	_, err := organizations("organization-created").CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{Id: company, DisplayName: "Bridges & Söhne"})
	check.NoError(t, err)
	registered, err := users("registered").RegisterUser(ctx, &identityv1.RegisterUserRequest{Id: ada, Email: "Ada@Example.com", DisplayName: "Ada"})
	check.NoError(t, err)
	_, err = users("registered-again").RegisterUser(ctx, &identityv1.RegisterUserRequest{Id: ada, Email: "ada@example.com", DisplayName: "Ada"})
	check.NoError(t, err)
	home := registered.GetUser().GetOrganizationId()
	_, err = users("registered-in").RegisterUser(ctx, &identityv1.RegisterUserRequest{Id: bob, OrganizationId: company, Email: "bob@example.com"})
	check.NoError(t, err)
	_, err = users("email-set").SetUserEmail(ctx, &identityv1.SetUserEmailRequest{UserId: ada, Email: "ada@example.com", EmailVerified: true, Revision: 1})
	check.NoError(t, err)
	_, err = users("email-set-again").SetUserEmail(ctx, &identityv1.SetUserEmailRequest{UserId: ada, Email: "ada@example.com", EmailVerified: true, Revision: 1})
	check.NoError(t, err)
	f.grants.Allow(root, "can_create_users", "platform:gatehouse")
	f.grants.Allow(root, "can_create_users", "organization:"+company)
	_, err = f.by(root, home, "created").CreateUser(ctx, &identityv1.CreateUserRequest{Email: "eve@example.com", DisplayName: "Eve"})
	check.NoError(t, err)
	_, err = f.by(root, home, "created-in").CreateUser(ctx, &identityv1.CreateUserRequest{OrganizationId: company, Email: "joe@example.com"})
	check.NoError(t, err)
	update := &identityv1.UpdateUserRequest{
		User: &identityv1.User{Id: ada, DisplayName: "Ada L.", TimeZone: "Europe/London"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name", "locale", "time_zone"}},
	}
	_, err = f.by(ada, home, "updated").UpdateUser(ctx, update)
	check.NoError(t, err)
	_, err = f.by(ada, home, "updated-again").UpdateUser(ctx, update)
	check.NoError(t, err)
	if _, err = f.by(bob, company, "denied").UpdateUser(ctx, update); err == nil {
		t.Error("somebody else's user was changed")
	}
	f.grants.Allow(root, "can_update", "user:"+bob)
	_, err = f.by(root, home, "updated-other").UpdateUser(ctx, &identityv1.UpdateUserRequest{
		User: &identityv1.User{Id: bob, DisplayName: "Bob"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	check.NoError(t, err)
	_, err = organizations("organization-updated").UpdateOrganization(ctx, &identityv1.UpdateOrganizationRequest{
		Organization: &identityv1.Organization{Id: company, DisplayName: "Bridges"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}},
	})
	check.NoError(t, err)
	emptyOrganization(t, organizations)
	suspensionOf(t, f, bob, root, home)
	_, err = f.by(ada, home, "deleted").DeleteUser(ctx, &identityv1.DeleteUserRequest{Id: ada})
	check.NoError(t, err)
	ending := finishLate(t, f, root)
	reserved := f.model.reserved.Load()
	importOf(t, f.by(root, home, "imported"), company)
	f.invite(t, company)
	golden.Check(t, "events.golden", outboxtest.Rows(t, f.Pool, "identity"))
	outboxtest.CheckAudited(t, f.Pool, "identity")
	reservedBy(t, reserved, root, ending)
}

// reservedBy wants Authz to be told who asked for the departure of a late deletion.
func reservedBy(t *testing.T, reserved *authzv1.ReserveDepartureRequest, root, ending string) {
	t.Helper()
	origin := reserved.GetOrigin()
	if got := [6]string{reserved.GetUserId(), reserved.GetEndingOrganizationId(), origin.GetActorType(), origin.GetActorId(), origin.GetRequestId(), origin.GetTraceId()}; got !=
		[6]string{root, ending, "user", root, "deleted-late", ""} {
		t.Errorf("the departure is reserved as %q", got)
	}
}

// emptyOrganization creates an organization and deletes it.
func emptyOrganization(t *testing.T, organizations func(requestID string) identityv1.OrganizationDirectoryServiceClient) {
	t.Helper()
	ctx := t.Context()
	const empty = "55555555-5555-4555-8555-555555555555"
	_, err := organizations("organization-created-empty").CreateOrganization(ctx, &identityv1.CreateOrganizationRequest{Id: empty, DisplayName: "Empty"})
	check.NoError(t, err)
	_, err = organizations("organization-deleted").DeleteOrganization(ctx, &identityv1.DeleteOrganizationRequest{Id: empty})
	check.NoError(t, err)
}

// suspensionOf has somebody of an organization suspend a user, twice, and restore them.
func suspensionOf(t *testing.T, f *fixed, userID, by, home string) {
	t.Helper()
	ctx := t.Context()
	f.grants.Allow(by, "can_suspend", "user:"+userID)
	_, err := f.by(by, home, "suspended").SuspendUser(ctx, &identityv1.SuspendUserRequest{Id: userID})
	check.NoError(t, err)
	_, err = f.by(by, home, "suspended-again").SuspendUser(ctx, &identityv1.SuspendUserRequest{Id: userID})
	check.NoError(t, err)
	_, err = f.by(by, home, "restored").RestoreUser(ctx, &identityv1.RestoreUserRequest{Id: userID})
	check.NoError(t, err)
}

// importOf imports a user with all fields, one who is there, and one with an address alone.
func importOf(t *testing.T, by identityv1.UserServiceClient, organizationID string) {
	t.Helper()
	importing, err := by.ImportUsers(t.Context())
	check.NoError(t, err)
	check.NoError(t, importing.Send(&identityv1.ImportUsersRequest{OrganizationId: organizationID, Users: []*identityv1.ImportedUser{
		{Email: "Zoe@example.com", DisplayName: "Zoë", Locale: "fr-CH", TimeZone: "Europe/Zurich"}, {Email: "joe@example.com"}, {Email: "amy@example.com"},
	}}))
	_, err = importing.CloseAndRecv()
	check.NoError(t, err)
}

// finishLate deletes a user with a personal organization, whose id it returns, in two steps: the
// reconciler finishes what the request could not.
func finishLate(t *testing.T, f *fixed, id string) string {
	t.Helper()
	ctx, users := t.Context(), identityv1.NewUserDirectoryServiceClient(f.Through("auth", "registered-late"))
	late, err := users.RegisterUser(ctx, &identityv1.RegisterUserRequest{Id: id, Email: "root@example.com"})
	check.NoError(t, err)
	f.logins.down.Store(true)
	if _, err = f.by(id, late.GetUser().GetOrganizationId(), "deleted-late").DeleteUser(ctx, &identityv1.DeleteUserRequest{Id: id}); err == nil {
		t.Error("a deletion is complete without Auth")
	}
	f.logins.down.Store(false)
	f.now = f.now.Add(time.Minute)
	if n, err := f.users.CompleteDeletions(ctx); n != 1 || err != nil {
		t.Errorf("%d deletions completed, %v", n, err)
	}
	return late.GetUser().GetOrganizationId()
}
