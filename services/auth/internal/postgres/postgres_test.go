package postgres_test

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/token"
	"github.com/gatehouse/gatehouse/services/auth/internal/client/clienttest"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange/emailchangetest"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor/factortest"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/login/logintest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof/prooftest"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset/resettest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/session/sessiontest"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey/signingkeytest"
)

func TestLogins(t *testing.T) {
	logintest.Run(t, func(t *testing.T) logintest.Stores {
		db := postgrestest.Open(t)
		return logintest.Stores{
			Logins: db.Logins, Invitations: db.Logins, Codes: db.MailedCodes, Sessions: db.Sessions, Recorded: db.Recorded, Related: db.Related,
			Unchanged: db.Unchanged,
		}
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

func TestMails(t *testing.T) {
	mailtest.Run(t, func(t *testing.T) mailtest.Database {
		db := postgrestest.Open(t)
		return mailtest.Database{Store: db.Mails, Queue: db.Queue}
	})
}

func TestMailedCodes(t *testing.T) {
	prooftest.Run(t, func(t *testing.T) prooftest.Database {
		db := postgrestest.Open(t)
		return prooftest.Database{
			Store: db.MailedCodes, Take: db.MailedCodes.Take, Forget: db.MailedCodes.Forget, Recorded: db.Recorded,
			Queued: func(t *testing.T) int { return waitingMails(t, db) },
		}
	})
}

func TestResets(t *testing.T) { // R14, R15
	resettest.Run(t, func(t *testing.T) resettest.Database {
		db := postgrestest.Open(t)
		return resettest.Database{
			Store: db.Resets, Logins: db.Logins, Codes: db.MailedCodes, Factors: db.Factors, Sessions: db.Sessions, Recorded: db.Recorded,
			Unchanged: db.Unchanged, Queued: func(t *testing.T) int { return waitingMails(t, db) },
		}
	})
}

func TestEmailChanges(t *testing.T) { // R15, R17
	emailchangetest.Run(t, func(t *testing.T) emailchangetest.Database {
		db := postgrestest.Open(t)
		return emailchangetest.Database{
			Store: db.Emails, Logins: db.Logins, Codes: db.MailedCodes, Recorded: db.Recorded, Unchanged: db.Unchanged,
			Queued: func(t *testing.T) int { return waitingMails(t, db) },
		}
	})
}

func waitingMails(t *testing.T, db *postgrestest.Database) int {
	t.Helper()
	s, err := db.Mails.Standing(t.Context())
	check.NoError(t, err)
	return s.Waiting
}

func TestFactors(t *testing.T) { // R12, R13
	factortest.Run(t, func(t *testing.T) factortest.Database {
		db := postgrestest.Open(t)
		return factortest.Database{
			Store: db.Factors, Sessions: db.Sessions, Recorded: db.Recorded, Login: func(t *testing.T) (string, string) { return activeLogin(t, db) },
		}
	})
}

func TestClients(t *testing.T) {
	clienttest.Run(t, func(t *testing.T) clienttest.Database {
		db := postgrestest.Open(t)
		return clienttest.Database{
			Store: db.Clients, Recorded: db.Recorded,
			Session:   func(t *testing.T, clientID string) string { return sessionOf(t, db, clientID) },
			Announced: func(t *testing.T) map[string]time.Time { return announced(t, db.Pool) },
		}
	})
}

// sessionOf makes a session of a client, below a browser session.
func sessionOf(t *testing.T, db *postgrestest.Database, clientID string) (id string) {
	t.Helper()
	user, _ := activeLogin(t, db)
	err := db.Pool.QueryRow(t.Context(), `
		with browser as (
		    insert into auth.browser_sessions (id, secret_hash, user_id, auth_time, amr, address, user_agent, create_time, seen_time, expire_time)
		    values (gen_random_uuid(), sha256(gen_random_uuid()::text::bytea), $1, now(), '{pwd}', '', '', now(), now(), now() + interval '1 day')
		    returning id)
		insert into auth.sessions (id, user_id, family_hash, token_hash, create_time, refresh_time, expire_time, browser_session_id, client_id)
		select gen_random_uuid(), $1, sha256(gen_random_uuid()::text::bytea), sha256('x'), now(), now(), now() + interval '1 day', id, $2 from browser
		returning id::text`, user, clientID).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func announced(t *testing.T, pool *pgxpool.Pool) map[string]time.Time {
	t.Helper()
	until := map[string]time.Time{}
	rows, err := pool.Query(t.Context(), `select r.session_id::text, r.expire_time from auth.revocations r
		where not exists (select from auth.sessions s where s.id = r.session_id)`)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error { until[id] = at; return nil }); err != nil {
		t.Fatal(err)
	}
	return until
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

func TestBrowserSessions(t *testing.T) {
	sessiontest.RunBrowsers(t, func(t *testing.T) sessiontest.Browsers { return browsers(postgrestest.Open(t)) })
}

func TestOverview(t *testing.T) {
	sessiontest.RunOverview(t, func(t *testing.T) sessiontest.Overview {
		db := postgrestest.Open(t)
		return sessiontest.Overview{Browsers: browsers(db), Overview: db.Overview, Queued: func(t *testing.T) int { return waitingMails(t, db) }}
	})
}

func browsers(db *postgrestest.Database) sessiontest.Browsers {
	return sessiontest.Browsers{
		Database: sessiontest.Database{
			Store: db.Sessions, Login: func(t *testing.T) (string, string) { return activeLogin(t, db) }, Recorded: db.Recorded,
		},
		Browsers: db.Browsers,
		Below:    func(t *testing.T, b session.Browser) (string, func()) { return holdBelow(t, db.Pool, b) },
		Waiting:  func(t *testing.T) { waiting(t, db.Pool, 1) },
	}
}

// holdBelow begins a client's session below a browser session in a transaction that stays open
// until commit is called.
func holdBelow(t *testing.T, pool *pgxpool.Pool, b session.Browser) (id string, commit func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // after a commit it changes nothing
	id = uuid.NewString()
	_, err = tx.Exec(t.Context(), `
		insert into auth.sessions (id, user_id, family_hash, token_hash, create_time, refresh_time, expire_time, browser_session_id, client_id)
		values (@id, @user_id, sha256(@hashed::bytea), sha256(@hashed::bytea), @begin, @begin, @end, @browser, 'a client')`,
		pgx.StrictNamedArgs{"id": id, "user_id": b.UserID, "hashed": []byte(id), "begin": b.CreateTime, "end": b.ExpireTime, "browser": b.ID})
	if err != nil {
		t.Fatal(err)
	}
	return id, func() {
		if err := tx.Commit(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

// waiting returns once so many statements wait for locks.
func waiting(t *testing.T, pool *pgxpool.Pool, many int) {
	t.Helper()
	check.Eventually(t, "statements wait", func() bool {
		var n int
		err := pool.QueryRow(t.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&n)
		return err == nil && n >= many
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
