package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization/organizationtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
	"github.com/gatehouse/gatehouse/services/identity/internal/user/usertest"
)

func TestUsers(t *testing.T) {
	usertest.Run(t, func(t *testing.T) usertest.Stores {
		pool := pgtest.New(t, migrations.Schema, migrations.Files)
		users := postgres.NewUsers(pool)
		return usertest.Stores{Users: users, Deletions: users, Organizations: postgres.NewOrganizations(pool)}
	})
}

func TestOrganizations(t *testing.T) {
	organizationtest.Run(t, func(t *testing.T) organizationtest.Fixture {
		pool := pgtest.New(t, migrations.Schema, migrations.Files)
		return organizationtest.Fixture{
			Organizations: postgres.NewOrganizations(pool),
			AddUser: func(ctx context.Context, organizationID string) error {
				now := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
				_, err := postgres.NewUsers(pool).Create(ctx, user.User{
					OrganizationID: organizationID, ID: uuid.NewString(), Email: "a@example.com", State: user.Active, Revision: 1,
					CreateTime: now, UpdateTime: now,
				}, nil)
				return err
			},
		}
	})
}
