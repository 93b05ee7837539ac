// Package api serves Identity's contract (proto/gatehouse/identity/v1): it turns requests into calls of the domain and answers into
// messages, one file per RPC.
//
// The gRPC server has already verified who calls, whether they may, and the field rules of the request. Only the wiring and this service's tests
// import this package.
package api

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/caller"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// UserService serves gatehouse.identity.v1.UserService: what people do with users.
type UserService struct {
	identityv1.UnsafeUserServiceServer // a forgotten method does not compile
	users                              *user.Service
}

// NewUserService returns the handlers over the domain.
func NewUserService(users *user.Service) *UserService { return &UserService{users: users} }

// UserDirectoryService serves gatehouse.identity.v1.UserDirectoryService: what programs do with users.
type UserDirectoryService struct {
	identityv1.UnsafeUserDirectoryServiceServer
	users   *user.Service
	filters *filters
}

// NewUserDirectoryService returns the handlers over the domain.
func NewUserDirectoryService(users *user.Service) (*UserDirectoryService, error) {
	f, err := newFilters([]string{"email", "display_name"}, []string{"create_time"})
	if err != nil {
		return nil, err
	}
	return &UserDirectoryService{users: users, filters: f}, nil
}

// OrganizationDirectoryService serves gatehouse.identity.v1.OrganizationDirectoryService: what programs do with organizations.
type OrganizationDirectoryService struct {
	identityv1.UnsafeOrganizationDirectoryServiceServer
	organizations *organization.Service
	filters       *filters
}

// NewOrganizationDirectoryService returns the handlers over the domain.
func NewOrganizationDirectoryService(organizations *organization.Service) (*OrganizationDirectoryService, error) {
	f, err := newFilters([]string{"display_name"}, []string{"create_time"})
	if err != nil {
		return nil, err
	}
	return &OrganizationDirectoryService{organizations: organizations, filters: f}, nil
}

// tenant returns the organization of the verified token: the only one whose users a person may reach, whatever the request says.
func tenant(ctx context.Context) (string, error) {
	c, ok := caller.FromContext(ctx)
	if !ok || c.Subject == nil {
		return "", apierr.New(apierr.Unauthenticated, "TOKEN_REQUIRED", "an access token is required")
	}
	if !isUUID(c.Subject.OrganizationID) {
		return "", user.NotFound()
	}
	return c.Subject.OrganizationID, nil
}

// requireUUID refuses an id inside a resource, for which the contract has no field rule because answers carry the same message.
func requireUUID(path, id string) error {
	if isUUID(id) {
		return nil
	}
	return apierr.New(apierr.InvalidArgument, "INVALID_ARGUMENT", "the id is not a UUID").WithField(path, "string.uuid", "must be a valid UUID")
}

func isUUID(id string) bool { return len(id) == 36 && uuid.Validate(id) == nil } // Validate also knows the urn and braces forms

// canonical returns a UUID that passed the contract's rules in the form that is stored, for ids that programs choose. A person's own id
// needs none: it was compared with the token's subject, letter by letter, before the handler saw it.
func canonical(id string) string { return strings.ToLower(id) }

func userMessage(u user.User) *identityv1.User {
	return &identityv1.User{
		Id:             u.ID,
		OrganizationId: u.OrganizationID,
		Email:          u.Email,
		DisplayName:    u.DisplayName,
		Locale:         u.Locale,
		TimeZone:       u.TimeZone,
		CreateTime:     timestamppb.New(u.CreateTime),
		UpdateTime:     timestamppb.New(u.UpdateTime),
		Etag:           u.ETag(),
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
