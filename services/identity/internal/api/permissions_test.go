package api_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// Who Authz admits reaches the user in whatever organization it is, and only for what was granted.
func TestUsersByPermission(t *testing.T) {
	t.Parallel()
	s := newService(t)
	administrator, u := s.signedUp(t), s.signedUp(t)
	client, id := s.as(administrator), u.GetId()
	get := func() error {
		_, err := client.GetUser(t.Context(), &identityv1.GetUserRequest{Id: id})
		return err
	}
	update := func() error {
		r, err := client.UpdateUser(t.Context(), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: id, DisplayName: "Countess"}})
		if err == nil && r.GetUser().GetDisplayName() != "Countess" {
			t.Errorf("got %v", r)
		}
		return err
	}
	remove := func() error {
		_, err := client.DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: id})
		return err
	}
	for _, call := range []func() error{get, update, remove} {
		wantError(t, call(), apierr.NotFound, "USER_NOT_FOUND")
	}
	s.wantStored(t, u)
	for _, step := range []struct {
		relation string
		call     func() error
	}{{"can_read", get}, {"can_update", update}, {"can_delete", remove}} {
		wantError(t, step.call(), apierr.NotFound, "USER_NOT_FOUND")
		s.grants.Allow(administrator.GetId(), step.relation, "user:"+id)
		check.NoError(t, step.call())
	}
	wantError(t, get(), apierr.NotFound, "USER_NOT_FOUND")

	// The trail says who did it, and in whose organization it happened.
	for _, e := range s.Events(t)[len(s.Events(t))-3:] {
		if e.OrganizationID != u.GetOrganizationId() || e.Actor.ID != administrator.GetId() || e.Actor.Type != event.User || e.Caller != "gateway" {
			t.Errorf("%s of %s: got %+v in %s", e.Action, e.ObjectID, e.Actor, e.OrganizationID)
		}
	}
}

// R62: what cannot be asked is not granted; oneself needs no answer.
func TestUsersWhileAuthzIsDown(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u, other := s.signedUp(t), s.signedUp(t)
	s.grants.Fail(errors.New("connection refused"))
	s.wantStored(t, u)
	_, err := s.as(u).GetUser(t.Context(), &identityv1.GetUserRequest{Id: other.GetId()})
	wantError(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	_, err = s.as(u).CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: "b@example.com"})
	wantError(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	_, err = s.as(u).ListUsers(t.Context(), &identityv1.ListUsersRequest{})
	wantError(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	s := newService(t)
	administrator, owner := s.signedUp(t), s.signedUp(t)
	s.grants.Allow(administrator.GetId(), "can_create_users", "platform:gatehouse")
	s.grants.Allow(owner.GetId(), "can_create_users", "organization:"+owner.GetOrganizationId())

	var trailer metadata.MD
	r, err := s.as(administrator).CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: "Grace@Example.com", DisplayName: "Grace"}, grpc.Trailer(&trailer))
	check.NoError(t, err)
	grace := r.GetUser()
	if uuid.Validate(grace.GetId()) != nil || grace.GetEmail() != "grace@example.com" || grace.GetDisplayName() != "Grace" ||
		uuid.Validate(grace.GetOrganizationId()) != nil || grace.GetOrganizationId() == administrator.GetOrganizationId() {
		t.Fatalf("got %v", grace)
	}
	s.wantStored(t, grace)
	wantToken(t, trailer)

	join := &identityv1.CreateUserRequest{Email: "b@example.com", OrganizationId: owner.GetOrganizationId()}
	joined, err := s.as(owner).CreateUser(t.Context(), join)
	check.NoError(t, err)
	if joined.GetUser().GetOrganizationId() != owner.GetOrganizationId() {
		t.Fatalf("got %v", joined)
	}
	for _, email := range []string{"b@example.com", "B@EXAMPLE.com"} {
		join.Email = email
		_, err = s.as(owner).CreateUser(t.Context(), join)
		wantError(t, err, apierr.AlreadyExists, "EMAIL_TAKEN")
	}
	_, err = s.as(administrator).CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: "c@example.com", OrganizationId: uuid.NewString()})
	wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")

	// R52: without the permission the organization is unknown, and the platform refuses openly.
	_, err = s.as(owner).CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: "c@example.com", OrganizationId: administrator.GetOrganizationId()})
	wantError(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
	_, err = s.as(owner).CreateUser(t.Context(), &identityv1.CreateUserRequest{Email: "c@example.com"})
	wantError(t, err, apierr.PermissionDenied, "PERMISSION_DENIED")

	events := s.Events(t)
	last := events[len(events)-1]
	if last.Action != "user.created" || last.ObjectID != joined.GetUser().GetId() || last.Actor.ID != owner.GetId() {
		t.Errorf("got %+v", last)
	}
	for _, c := range last.Changes {
		if personal := c.Field == "email" || c.Field == "display_name"; c.Personal != personal {
			t.Errorf("%s is personal: %v", c.Field, c.Personal)
		}
	}
}

// wantToken fails unless the answer carries a token that names an event.
func wantToken(t *testing.T, trailer metadata.MD) {
	t.Helper()
	values := trailer.Get(request.ConsistencyHeader)
	if len(values) != 1 {
		t.Fatalf("the answer carries %v, want one token", values)
	}
	token, err := request.ParseToken(values[0])
	check.NoError(t, err)
	if _, ok := token.EventID(); !ok {
		t.Errorf("%v names no event", values)
	}
}

// The one who registers learns the token in the answer, also when it asks again; the one who deletes, in the trailer.
func TestTokensOfRelationships(t *testing.T) {
	t.Parallel()
	s := newService(t)
	directory := identityv1.NewUserDirectoryServiceClient(s.As("auth"))
	r := &identityv1.RegisterUserRequest{Id: uuid.NewString(), Email: "ada@example.com"}
	first, err := directory.RegisterUser(t.Context(), r)
	check.NoError(t, err)
	again, err := directory.RegisterUser(t.Context(), r)
	check.NoError(t, err)
	if first.GetConsistencyToken() == "" || !proto.Equal(first, again) {
		t.Fatalf("got %v, then %v", first, again)
	}
	_, err = request.ParseToken(first.GetConsistencyToken())
	check.NoError(t, err)
	var trailer metadata.MD
	s.logins.down.Store(true)
	_, err = s.as(first.GetUser()).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: r.GetId()}, grpc.Trailer(&trailer))
	wantError(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	wantToken(t, trailer)
	s.logins.down.Store(false)
	_, err = s.as(first.GetUser()).DeleteUser(t.Context(), &identityv1.DeleteUserRequest{Id: r.GetId()}, grpc.Trailer(&trailer))
	check.NoError(t, err)
	wantToken(t, trailer)
}

func TestGetMe(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u, stranger := s.signedUp(t), s.signedUp(t)
	for _, g := range [][2]string{
		{"can_list_users", "platform:gatehouse"}, {"can_read", "organization:" + u.GetOrganizationId()},
		{"can_list_users", "organization:" + u.GetOrganizationId()}, {"can_read", "organization:" + stranger.GetOrganizationId()},
	} {
		s.grants.Allow(u.GetId(), g[0], g[1])
	}
	me, err := s.as(u).GetMe(t.Context(), &identityv1.GetMeRequest{})
	check.NoError(t, err)
	if !proto.Equal(me.GetUser(), u) || !slices.Equal(me.GetPermissions(), []string{"can_list_users"}) || len(me.GetOrganizations()) != 1 {
		t.Fatalf("got %v", me)
	}
	m := me.GetOrganizations()[0]
	if m.GetOrganization().GetId() != u.GetOrganizationId() || !slices.Equal(m.GetPermissions(), []string{"can_list_users", "can_read"}) {
		t.Fatalf("got %v", m)
	}
	if n := len(s.grants.Asked()); n != 1 {
		t.Errorf("Authz was asked %d times, want once", n)
	}
	me, err = s.as(stranger).GetMe(t.Context(), &identityv1.GetMeRequest{})
	check.NoError(t, err)
	if len(me.GetPermissions()) != 0 || len(me.GetOrganizations()[0].GetPermissions()) != 0 {
		t.Fatalf("a stranger may %v", me)
	}
	gone := proto.CloneOf(u)
	gone.Id = uuid.NewString()
	_, err = s.as(gone).GetMe(t.Context(), &identityv1.GetMeRequest{})
	wantError(t, err, apierr.NotFound, "USER_NOT_FOUND")
}

// The token of the request reaches Authz, and an Authz that does not answer is a 503, never fewer rights.
func TestGetMeAsksAuthz(t *testing.T) {
	t.Parallel()
	s := newService(t)
	u := s.signedUp(t)
	me := func(token string) error {
		ctx := metadata.AppendToOutgoingContext(t.Context(), request.ConsistencyHeader, token)
		_, err := s.as(u).GetMe(ctx, &identityv1.GetMeRequest{})
		return err
	}
	s.model.down.Store(true)
	token := request.TokenOf(uuid.NewString()).String()
	wantError(t, me(token), apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	s.model.down.Store(false)
	check.NoError(t, me(token))
	if asked := s.grants.Asked(); len(asked) != 1 || asked[0].Token != token || asked[0].Subject != "user:"+u.GetId() {
		t.Fatalf("asked %+v", asked)
	}
	s.grants.Fail(apierr.New(apierr.Unavailable, "NOT_FRESH_ENOUGH", "not yet"))
	wantError(t, me(token), apierr.Unavailable, "NOT_FRESH_ENOUGH")
	s.grants.Fail(apierr.New(apierr.InvalidArgument, "UNKNOWN_RELATION", "no such relation"))
	wantError(t, me(token), apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	s.grants.Fail(errors.New("connection refused"))
	err := me(token)
	wantError(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	if failure(t, err).RetryAfter <= 0 {
		t.Error("the answer does not say when to come back")
	}
}
