package postgres_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/login/logintest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/session/sessiontest"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey/signingkeytest"
)

func open(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return pgtest.New(t, migrations.Schema, migrations.Files)
}

func TestLogins(t *testing.T) {
	logintest.Run(t, func(t *testing.T) logintest.Stores {
		pool := open(t)
		return logintest.Stores{Logins: postgres.NewLogins(pool), Sessions: postgres.NewSessions(pool)}
	})
}

func TestSigningKeys(t *testing.T) {
	signingkeytest.Run(t, func(t *testing.T) signingkey.Store { return postgres.NewSigningKeys(open(t)) })
}

func TestSessions(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Database {
		pool := open(t)
		return sessiontest.Database{
			Store:          postgres.NewSessions(pool),
			Login:          func(t *testing.T) (string, string) { return activeLogin(t, pool) },
			HoldRevocation: func(t *testing.T, r session.Revocation) func() { return holdRevocation(t, pool, r) },
		}
	})
}

func activeLogin(t *testing.T, pool *pgxpool.Pool) (userID, organizationID string) {
	t.Helper()
	logins, now := postgres.NewLogins(pool), time.Now()
	l := login.Login{UserID: uuid.NewString(), Email: rand.Text() + "@example.com", PasswordHash: "$hash"}
	if _, _, err := logins.Reserve(t.Context(), l, now, now); err != nil {
		t.Fatal(err)
	}
	organizationID = uuid.NewString()
	if err := logins.Activate(t.Context(), l.UserID, organizationID, now); err != nil {
		t.Fatal(err)
	}
	return l.UserID, organizationID
}

func holdRevocation(t *testing.T, pool *pgxpool.Pool, r session.Revocation) (commit func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into auth.revocations (session_id, expire_time) values ($1, $2)`, r.SessionID, r.ExpireTime); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
