// Package membership is the domain of who somebody is here: the user, the organization that the user belongs to, and what the user may do
// in it and on the platform.
//
// It joins what the domains of users and organizations know with what Authz answers. It imports no driver, transport or generated code.
package membership

import (
	"context"

	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// Me is a user with what the user may do.
type Me struct {
	User          user.User
	Organizations []Membership
	Permissions   []string // on the platform as a whole, sorted
}

// Membership is an organization that a user belongs to.
type Membership struct {
	Organization organization.Organization
	Permissions  []string // on the organization, sorted
}

// Users finds one user.
type Users interface {
	Get(ctx context.Context, scope user.Scope, id string) (user.User, error)
}

// Organizations finds one organization.
type Organizations interface {
	Get(ctx context.Context, id string) (organization.Organization, error)
}

// Permissions is what a membership needs of Authz.
type Permissions interface {
	// Of returns the permissions that the user has on the platform and on one organization, both sorted.
	Of(ctx context.Context, userID, organizationID string) (platform, inOrganization []string, err error)
}

// Service answers who somebody is.
type Service struct {
	users         Users
	organizations Organizations
	permissions   Permissions
}

// NewService returns the answers over the two stores and Authz.
func NewService(users Users, organizations Organizations, permissions Permissions) *Service {
	return &Service{users: users, organizations: organizations, permissions: permissions}
}

// Me returns the user of an organization with everything that the user may do. Without an answer of Authz there is none.
func (s *Service) Me(ctx context.Context, organizationID, userID string) (Me, error) {
	u, err := s.users.Get(ctx, user.In(organizationID), userID)
	if err != nil {
		return Me{}, err
	}
	o, err := s.organizations.Get(ctx, u.OrganizationID)
	if err != nil {
		return Me{}, err
	}
	platform, inOrganization, err := s.permissions.Of(ctx, u.ID, o.ID)
	if err != nil {
		return Me{}, err
	}
	return Me{User: u, Organizations: []Membership{{Organization: o, Permissions: inOrganization}}, Permissions: platform}, nil
}
