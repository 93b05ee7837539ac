package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// People implements openid.People.
type People struct{ pool *pgxpool.Pool }

// NewPeople returns what logins tell about people.
func NewPeople(pool *pgxpool.Pool) *People { return &People{pool} }

type personRow struct {
	UserID         string
	OrganizationID string
	Email          string
	UpdateTime     time.Time
	EmailVerified  bool
}

const person = `
	select user_id::text, organization_id::text, email, update_time, email_verified from auth.logins where user_id = @id and state = 'active'`

// Person implements openid.People.
func (s *People) Person(ctx context.Context, userID string) (openid.Person, error) {
	row, err := one[personRow](ctx, s.pool, person, pgx.StrictNamedArgs{"id": userID})
	if errors.Is(err, pgx.ErrNoRows) {
		return openid.Person{}, session.ErrNotFound
	}
	if err != nil {
		return openid.Person{}, pg.Error(fmt.Errorf("find a person: %w", err))
	}
	return openid.Person(row), nil
}
