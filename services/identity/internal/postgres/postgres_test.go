package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/identity/internal/organization/organizationtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
	"github.com/gatehouse/gatehouse/services/identity/internal/user/usertest"
)

func TestUsers(t *testing.T) {
	usertest.Run(t, func(t *testing.T) usertest.Stores {
		d := postgrestest.New(t)
		return usertest.Stores{Users: d.Users, Deletions: d.Users, Standings: d.Users, Invitations: d.Users, Organizations: d.Organizations}
	})
}

func TestOrganizations(t *testing.T) {
	organizationtest.Run(t, func(t *testing.T) organizationtest.Fixture {
		d := postgrestest.New(t)
		return organizationtest.Fixture{
			Organizations: d.Organizations,
			AddUser: func(ctx context.Context, organizationID string) error {
				now := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
				id := uuid.NewString()
				_, _, err := users(d).Create(ctx, user.User{
					OrganizationID: organizationID, ID: id, Email: id + "@example.com", State: user.Active, Revision: 1,
					CreateTime: now, UpdateTime: now,
				}, nil)
				return err
			},
		}
	})
}
