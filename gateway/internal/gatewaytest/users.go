package gatewaytest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/address"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/resource"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// Users is Identity's public service over a map.
type Users struct {
	identityv1.UnimplementedUserServiceServer

	mu     sync.Mutex
	users  map[string]*identityv1.User
	calls  int
	hook   func(ctx context.Context) error
	listed *identityv1.ListUsersRequest
}

// NewUsers makes an empty one.
func NewUsers() *Users { return &Users{users: map[string]*identityv1.User{}} }

// Add adds a user and returns its id.
func (u *Users) Add(email, displayName string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.add(uuid.NewString(), email, displayName).GetId()
}

func (u *Users) add(organizationID, email, displayName string) *identityv1.User {
	made := timestamppb.New(time.Unix(1_700_000_000, 0))
	user := &identityv1.User{
		Id: uuid.NewString(), OrganizationId: organizationID, Email: email, DisplayName: displayName,
		CreateTime: made, UpdateTime: made, Etag: "v1",
	}
	u.users[user.GetId()] = user
	return user
}

// Related is the token that every creation answers with.
func (*Users) Related() string {
	return request.TokenOf("0192f0c1-2f6e-7c3a-9d55-0b8a4f3c2e11").String()
}

// Listed is the last request of ListUsers.
func (u *Users) Listed() *identityv1.ListUsersRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.listed
}

// Get returns a copy of the user as it is stored; nil for none.
func (u *Users) Get(id string) *identityv1.User {
	u.mu.Lock()
	defer u.mu.Unlock()
	user, _ := proto.Clone(u.users[id]).(*identityv1.User)
	return user
}

// Calls is how many calls have come.
func (u *Users) Calls() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls
}

// Hook is called first in every call from now on; its error is the answer. nil takes it away.
func (u *Users) Hook(hook func(ctx context.Context) error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.hook = hook
}

// begin counts the call, runs the hook and locks.
func (u *Users) begin(ctx context.Context) (func(), error) {
	u.mu.Lock()
	u.calls++
	hook := u.hook
	u.mu.Unlock()
	if hook != nil {
		if err := hook(ctx); err != nil {
			return nil, err
		}
	}
	u.mu.Lock()
	return u.mu.Unlock, nil
}

func (u *Users) find(id, etag string) (*identityv1.User, error) {
	user, ok := u.users[id]
	if !ok {
		return nil, apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no such user")
	}
	return user, resource.CheckETag(etag, user.GetEtag())
}

// GetUser returns the user.
func (u *Users) GetUser(ctx context.Context, r *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	unlock, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	user, err := u.find(r.GetId(), "")
	if err != nil {
		return nil, err
	}
	copied, _ := proto.Clone(user).(*identityv1.User)
	return &identityv1.GetUserResponse{User: copied}, nil
}

// UpdateUser changes what the mask names, or what the user carries.
func (u *Users) UpdateUser(ctx context.Context, r *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error) {
	unlock, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	user, err := u.find(r.GetUser().GetId(), r.GetEtag())
	if err != nil {
		return nil, err
	}
	named, err := named(r.GetUpdateMask().GetPaths(), r.GetUser())
	if err != nil {
		return nil, err
	}
	for _, name := range named {
		field := user.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name))
		user.ProtoReflect().Set(field, r.GetUser().ProtoReflect().Get(field))
	}
	user.Etag = fmt.Sprintf("v%d", u.calls+1)
	copied, _ := proto.Clone(user).(*identityv1.User)
	return &identityv1.UpdateUserResponse{User: copied}, nil
}

// named are the fields that a change is about.
func named(paths []string, user *identityv1.User) (names []string, err error) {
	mutable, fields := []string{"display_name", "locale", "time_zone"}, user.ProtoReflect().Descriptor().Fields()
	refused := apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "a field cannot be changed")
	for _, path := range paths {
		switch {
		case path == "*":
			return mutable, nil
		case slices.Contains(mutable, path):
			names = append(names, path)
		case fields.ByName(protoreflect.Name(path)) == nil:
			refused = refused.WithField("user."+path, "unknown", "no such field")
		default:
			refused = refused.WithField("user."+path, "immutable", "cannot be changed here")
		}
	}
	if len(refused.Fields) > 0 {
		return nil, refused
	}
	for _, name := range mutable {
		if len(paths) == 0 && user.ProtoReflect().Has(fields.ByName(protoreflect.Name(name))) {
			names = append(names, name)
		}
	}
	return names, nil
}

// DeleteUser deletes the user.
func (u *Users) DeleteUser(ctx context.Context, r *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error) {
	unlock, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := u.find(r.GetId(), r.GetEtag()); err != nil {
		return nil, err
	}
	delete(u.users, r.GetId())
	return &identityv1.DeleteUserResponse{}, nil
}

// CreateUser creates a user in the organization, or in one of its own.
func (u *Users) CreateUser(ctx context.Context, r *identityv1.CreateUserRequest) (*identityv1.CreateUserResponse, error) {
	unlock, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for _, user := range u.users {
		if address.Fold(user.GetEmail()) == address.Fold(r.GetEmail()) && user.GetOrganizationId() == r.GetOrganizationId() {
			return nil, apierr.New(apierr.AlreadyExists, "EMAIL_TAKEN", "a user of this organization has this email address already")
		}
	}
	request.Wrote(ctx, u.Related())
	user := u.add(cmp.Or(r.GetOrganizationId(), uuid.NewString()), r.GetEmail(), r.GetDisplayName())
	return &identityv1.CreateUserResponse{User: proto.CloneOf(user)}, nil
}

// ListUsers returns users by id, page_size at a time.
func (u *Users) ListUsers(ctx context.Context, r *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	unlock, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	u.listed = proto.CloneOf(r)
	list := []string{r.GetOrganizationId(), r.GetFilter()}
	after, err := resource.ParsePageToken(r.GetPageToken(), list...)
	if err != nil {
		return nil, err
	}
	answer := &identityv1.ListUsersResponse{}
	for _, id := range slices.Sorted(maps.Keys(u.users)) {
		switch {
		case after != nil && id <= after.ID, r.GetOrganizationId() != "" && r.GetOrganizationId() != u.users[id].GetOrganizationId():
		case r.GetPageSize() > 0 && len(answer.Users) == int(r.GetPageSize()):
			last := answer.Users[len(answer.Users)-1]
			answer.NextPageToken, err = resource.PageToken(&resource.Cursor{CreateTime: last.GetCreateTime().AsTime(), ID: last.GetId()}, list...)
			return answer, err
		default:
			answer.Users = append(answer.Users, proto.CloneOf(u.users[id]))
		}
	}
	return answer, nil
}

// GetMe returns the user of the token, who may read the own organization.
func (u *Users) GetMe(ctx context.Context, _ *identityv1.GetMeRequest) (*identityv1.GetMeResponse, error) {
	unlock, err := u.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	who, ok := request.CallerFrom(ctx)
	if !ok || who.Subject == nil {
		return nil, apierr.New(apierr.Internal, "INTERNAL", "no subject")
	}
	user, err := u.find(who.Subject.UserID, "")
	if err != nil {
		return nil, err
	}
	return &identityv1.GetMeResponse{
		User: proto.CloneOf(user),
		Organizations: []*identityv1.Membership{{
			Organization: &identityv1.Organization{Id: user.GetOrganizationId(), DisplayName: user.GetDisplayName(), CreateTime: user.GetCreateTime(), Etag: "v1"},
			Permissions:  []string{"can_read"},
		}},
	}, nil
}
