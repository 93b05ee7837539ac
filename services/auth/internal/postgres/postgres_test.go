package postgres_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/login/logintest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/session/sessiontest"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey/signingkeytest"
)

func TestLogins(t *testing.T) {
	logintest.Run(t, func(t *testing.T) logintest.Stores {
		db := postgrestest.Open(t)
		return logintest.Stores{Logins: db.Logins, Sessions: db.Sessions, Recorded: db.Recorded, Related: db.Related}
	})
}

func TestOutboxTables(t *testing.T) {
	outboxtest.CheckSchema(t, postgrestest.Open(t).Pool, migrations.Schema)
}

func TestSigningKeys(t *testing.T) {
	signingkeytest.Run(t, func(t *testing.T) signingkeytest.Database {
		db := postgrestest.Open(t)
		return signingkeytest.Database{Store: db.SigningKeys, Purpose: signingkey.ForAccess, Recorded: db.Recorded}
	})
}

func TestIDTokenKeys(t *testing.T) {
	signingkeytest.Run(t, func(t *testing.T) signingkeytest.Database {
		db := postgrestest.Open(t)
		return signingkeytest.Database{Store: db.IDTokenKeys[token.EdDSA], Purpose: signingkey.ForID, Recorded: db.Recorded}
	})
}

func TestClients(t *testing.T) {
	clienttest.Run(t, func(t *testing.T) clienttest.Database {
		db := postgrestest.Open(t)
		return clienttest.Database{Store: db.Clients, Recorded: db.Recorded}
	})
}

func TestSessions(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Database {
		db := postgrestest.Open(t)
		return sessiontest.Database{
			Store:          db.Sessions,
			Login:          func(t *testing.T) (string, string) { return activeLogin(t, db) },
			HoldRevocation: func(t *testing.T, r session.Revocation) func() { return holdRevocation(t, db.Pool, r) },
			Recorded:       db.Recorded,
		}
	})
}

func activeLogin(t *testing.T, db *postgrestest.Database) (userID, organizationID string) {
	t.Helper()
	signedUp, now := postgrestest.Event("auth.signed_up"), time.Now()
	l := login.Login{UserID: uuid.NewString(), Email: rand.Text() + "@example.com", PasswordHash: "$hash"}
	if _, _, err := db.Logins.Reserve(t.Context(), l, signedUp, now, now); err != nil {
		t.Fatal(err)
	}
	organizationID = uuid.NewString()
	if _, err := db.Logins.Activate(t.Context(), login.NewActivation(signedUp, l.UserID, organizationID), now); err != nil {
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
