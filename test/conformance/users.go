package conformance

import (
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// Users is a running UserService.
type Users struct {
	Server *grpctest.Server
	Grants *grpctest.Grants // what Authz says to it
	// SignUp makes a user as Auth does for somebody who signs up.
	SignUp func(t testing.TB, email string) *identityv1.User
}

// Run runs the cases, each with users of its own.
func (u Users) Run(t *testing.T) {
	for name, run := range map[string]func(t *testing.T){
		"unknown":     u.unknown,
		"own":         u.own,
		"update":      u.update,
		"mask":        u.mask,
		"create":      u.create,
		"pages":       u.pages,
		"page tokens": u.pageTokens,
		"delete":      u.deletion,
	} {
		t.Run(name, run)
	}
}

// as is the service for a user who is signed in.
func (u Users) as(userID, organizationID string) identityv1.UserServiceClient {
	claims := u.Server.Tokens.Claims(userID)
	claims.OrganizationID = organizationID
	return identityv1.NewUserServiceClient(u.Server.AsUser(claims))
}

func (u Users) signedUp(t *testing.T) (*identityv1.User, identityv1.UserServiceClient) {
	t.Helper()
	user := u.SignUp(t, uuid.NewString()+"@example.com")
	return user, u.as(user.GetId(), user.GetOrganizationId())
}

// keeper may create and list users everywhere, and read the one named.
func (u Users) keeper(reads string) identityv1.UserServiceClient {
	id := uuid.NewString()
	u.Grants.Allow(id, "can_create_users", "platform:gatehouse")
	u.Grants.Allow(id, "can_list_users", "platform:gatehouse")
	u.Grants.Allow(id, "can_read", "user:"+reads)
	return u.as(id, uuid.NewString())
}

func (u Users) unknown(t *testing.T) {
	id := uuid.NewString()
	_, err := u.keeper(id).GetUser(t.Context(), &identityv1.GetUserRequest{Id: id})
	refused(t, err, apierr.NotFound, "USER_NOT_FOUND")
	_, err = u.as(id, uuid.NewString()).GetMe(t.Context(), &identityv1.GetMeRequest{})
	refused(t, err, apierr.NotFound, "USER_NOT_FOUND")
}

func (u Users) own(t *testing.T) {
	user, own := u.signedUp(t)
	u.Grants.Allow(user.GetId(), "can_read", "organization:"+user.GetOrganizationId())
	got, err := own.GetUser(t.Context(), &identityv1.GetUserRequest{Id: user.GetId()})
	check.NoError(t, err)
	me, err := own.GetMe(t.Context(), &identityv1.GetMeRequest{})
	check.NoError(t, err)
	if !proto.Equal(got.GetUser(), user) || !proto.Equal(me.GetUser(), user) {
		t.Errorf("got %v and %v, want %v", got.GetUser(), me.GetUser(), user)
	}
	if user.GetEtag() == "" || !user.GetCreateTime().IsValid() || !proto.Equal(user.GetUpdateTime(), user.GetCreateTime()) {
		t.Errorf("a new user is %v", user)
	}
	if in := me.GetOrganizations(); len(in) != 1 || in[0].GetOrganization().GetId() != user.GetOrganizationId() ||
		len(in[0].GetPermissions()) != 1 || in[0].GetPermissions()[0] != "can_read" {
		t.Errorf("is in %v", in)
	}
}

func (u Users) update(t *testing.T) {
	user, own := u.signedUp(t)
	user.Locale, user.TimeZone = "de-CH", "Europe/Zurich"
	r, err := own.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: user, Etag: user.GetEtag()}) // what the resource carries
	check.NoError(t, err)
	changed := r.GetUser()
	if changed.GetEtag() == user.GetEtag() || changed.GetLocale() != "de-CH" || changed.GetTimeZone() != "Europe/Zurich" ||
		changed.GetDisplayName() != user.GetDisplayName() || changed.GetUpdateTime().AsTime().Before(user.GetCreateTime().AsTime()) {
		t.Errorf("%v became %v", user, changed)
	}
	_, err = own.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: user, Etag: user.GetEtag()})
	refused(t, err, apierr.Aborted, "ETAG_MISMATCH")
	_, err = own.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: user.GetId()}, UpdateMask: paths("*")})
	check.NoError(t, err)
	got, err := own.GetUser(t.Context(), &identityv1.GetUserRequest{Id: user.GetId()})
	check.NoError(t, err)
	if g := got.GetUser(); g.GetLocale() != "" || g.GetDisplayName() != "" || g.GetEmail() != user.GetEmail() {
		t.Errorf("after a mask of * it is %v", g)
	}
}

func (u Users) mask(t *testing.T) {
	user, own := u.signedUp(t)
	for path, violation := range map[string]string{
		"email":       "user.email immutable",
		"create_time": "user.create_time immutable",
		"shoe_size":   "user.shoe_size unknown",
	} {
		_, err := own.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: user, UpdateMask: paths("locale", path)})
		refused(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT", violation)
	}
	got, err := own.GetUser(t.Context(), &identityv1.GetUserRequest{Id: user.GetId()})
	check.NoError(t, err)
	if !proto.Equal(got.GetUser(), user) {
		t.Errorf("a refused change made %v of %v", got.GetUser(), user)
	}
}

func (u Users) create(t *testing.T) {
	keeper, email := u.keeper(""), "k"+uuid.NewString()+"@example.com"
	r, err := keeper.CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: email, DisplayName: "B"})
	check.NoError(t, err)
	made := r.GetUser()
	if uuid.Validate(made.GetOrganizationId()) != nil || made.GetEmail() != email || made.GetDisplayName() != "B" || made.GetEtag() == "" {
		t.Errorf("made %v", made)
	}
	for _, again := range []string{email, "K" + email[1:]} { // one address (ADR 0052)
		_, err = keeper.CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: again, OrganizationId: made.GetOrganizationId()})
		refused(t, err, apierr.AlreadyExists, "EMAIL_TAKEN")
	}
}

func (u Users) pages(t *testing.T) {
	keeper, organization := u.keeper(""), ""
	const made = 5
	for range made {
		r, err := keeper.CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: uuid.NewString() + "@example.com", OrganizationId: organization})
		check.NoError(t, err)
		organization = r.GetUser().GetOrganizationId()
	}
	seen := map[string]bool{}
	list := &identityv1.ListUsersRequest{OrganizationId: organization, PageSize: 2}
	for rest := made; ; rest -= 2 {
		page, err := keeper.ListUsers(t.Context(), list)
		check.NoError(t, err)
		if len(page.GetUsers()) != min(2, rest) {
			t.Fatalf("a page of %d with %d left", len(page.GetUsers()), rest)
		}
		for _, user := range page.GetUsers() {
			seen[user.GetId()] = true
		}
		if list.PageToken = page.GetNextPageToken(); list.GetPageToken() == "" {
			break
		}
	}
	if len(seen) != made {
		t.Errorf("%d of %d users are listed", len(seen), made)
	}
}

func (u Users) pageTokens(t *testing.T) {
	keeper := u.keeper("")
	for range 2 {
		_, err := keeper.CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: uuid.NewString() + "@example.com"})
		check.NoError(t, err)
	}
	page, err := keeper.ListUsers(t.Context(), &identityv1.ListUsersRequest{PageSize: 1})
	check.NoError(t, err)
	for name, list := range map[string]*identityv1.ListUsersRequest{
		"no token":              {PageToken: "x"},
		"of another list":       {PageToken: page.GetNextPageToken(), OrganizationId: uuid.NewString()},
		"of a list by a filter": {PageToken: page.GetNextPageToken(), Filter: `display_name != ""`},
	} {
		_, err := keeper.ListUsers(t.Context(), list)
		if err == nil {
			t.Fatalf("%s is taken", name)
		}
		refused(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT", "page_token page_token")
	}
}

func (u Users) deletion(t *testing.T) {
	user, own := u.signedUp(t)
	_, err := own.DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: user.GetId(), Etag: "stale"})
	refused(t, err, apierr.Aborted, "ETAG_MISMATCH")
	_, err = own.DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: user.GetId(), Etag: user.GetEtag()})
	check.NoError(t, err)
	_, err = own.GetUser(t.Context(), &identityv1.GetUserRequest{Id: user.GetId()})
	refused(t, err, apierr.NotFound, "USER_NOT_FOUND")
}

func paths(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }
