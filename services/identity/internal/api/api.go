// Package api serves Identity's contract (proto/gatehouse/identity/v1): it turns requests into calls of the domain and answers into
// messages, one file per RPC.
//
// The gRPC server has already verified who calls, whether they may, and the field rules of the request. Only the wiring and this service's tests
// import this package.
package api

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/resource/filter"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/membership"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// UserService serves gatehouse.identity.v1.UserService: what people do with users.
type UserService struct {
	identityv1.UnsafeUserServiceServer // a forgotten method does not compile
	users                              *user.Service
	memberships                        *membership.Service
	watching                           *user.Watching
	cursors                            *cursor.Texts
	filters                            *filter.Parser
}

// NewUserService returns the handlers over the domain.
func NewUserService(
	users *user.Service, memberships *membership.Service, watching *user.Watching, cursors *cursor.Texts,
) (*UserService, error) {
	f, err := filter.New(filter.Fields{
		Texts: []string{"email", "display_name"}, Times: []string{"create_time"}, Bools: []string{"email_verified"},
		Enums: map[string]protoreflect.EnumType{"state": identityv1.User_State(0).Type()},
	})
	if err != nil {
		return nil, err
	}
	return &UserService{users: users, memberships: memberships, watching: watching, cursors: cursors, filters: f}, nil
}

// UserDirectoryService serves gatehouse.identity.v1.UserDirectoryService: what programs do with users.
type UserDirectoryService struct {
	identityv1.UnsafeUserDirectoryServiceServer
	users *user.Service
}

// NewUserDirectoryService returns the handlers over the domain.
func NewUserDirectoryService(users *user.Service) *UserDirectoryService {
	return &UserDirectoryService{users: users}
}

// OrganizationDirectoryService serves gatehouse.identity.v1.OrganizationDirectoryService: what programs do with organizations.
type OrganizationDirectoryService struct {
	identityv1.UnsafeOrganizationDirectoryServiceServer
	organizations *organization.Service
	filters       *filter.Parser
}

// NewOrganizationDirectoryService returns the handlers over the domain.
func NewOrganizationDirectoryService(organizations *organization.Service) (*OrganizationDirectoryService, error) {
	f, err := filter.New(filter.Fields{Texts: []string{"display_name"}, Times: []string{"create_time"}})
	if err != nil {
		return nil, err
	}
	return &OrganizationDirectoryService{organizations: organizations, filters: f}, nil
}

// subject returns the verified person who calls. The organization is the only one whose users the person reaches without being asked for
// by Authz, whatever the request says.
func subject(ctx context.Context) (request.Subject, error) {
	c, ok := request.CallerFrom(ctx)
	if !ok || c.Subject == nil {
		return request.Subject{}, apierr.TokenRequired()
	}
	if !isUUID(c.Subject.OrganizationID) {
		return request.Subject{}, user.NotFound()
	}
	return *c.Subject, nil
}

// reach returns where to look for the user that a request names. The server admitted the caller
// either as that user, who is in the organization of the token and nowhere else; or because Authz
// said so of this one user, wherever it is.
func reach(ctx context.Context, id string) (user.Scope, error) {
	who, err := subject(ctx)
	if err != nil {
		return user.Scope{}, err
	}
	if who.UserID == id {
		return user.In(who.OrganizationID), nil
	}
	return user.Everywhere(), nil
}

// among returns whose users a list is of. A request that names no organization passed only by the
// permission on the platform.
func among(organizationID string) user.Scope {
	if organizationID == "" {
		return user.Everywhere()
	}
	return user.In(organizationID)
}

// unbounded says whether quotas do not bind a request: it was admitted by the permission on the
// platform.
func unbounded(ctx context.Context) bool {
	c, ok := request.CallerFrom(ctx)
	return ok && c.Subject != nil && c.Subject.ByPlatformRight
}

// requireUUID refuses an id inside a resource, for which the contract has no field rule because answers carry the same message.
func requireUUID(path, id string) error {
	if isUUID(id) {
		return nil
	}
	return apierr.InvalidArgumentError().Saying("the id is not a UUID").WithField(path, "string.uuid", "must be a valid UUID")
}

func isUUID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil } // Validate also knows the urn and braces forms

func userMessage(u user.User) *identityv1.User {
	return &identityv1.User{
		Id:             u.ID,
		OrganizationId: u.OrganizationID,
		Email:          u.Email,
		EmailVerified:  u.EmailVerified,
		DisplayName:    u.DisplayName,
		Locale:         u.Locale,
		TimeZone:       u.TimeZone,
		CreateTime:     timestamppb.New(u.CreateTime),
		UpdateTime:     timestamppb.New(u.UpdateTime),
		Etag:           u.ETag(),
		State:          states()[u.State],
	}
}

// states are the states of a user that is there, as the contract names them.
func states() map[user.State]identityv1.User_State {
	return map[user.State]identityv1.User_State{
		user.Invited: identityv1.User_STATE_INVITED, user.Active: identityv1.User_STATE_ACTIVE, user.Suspended: identityv1.User_STATE_SUSPENDED,
	}
}

func organizationMessage(o organization.Organization) *identityv1.Organization {
	return &identityv1.Organization{
		Id:          o.ID,
		DisplayName: o.DisplayName,
		CreateTime:  timestamppb.New(o.CreateTime),
		UpdateTime:  timestamppb.New(o.UpdateTime),
		Etag:        o.ETag(),
	}
}
