package postgres_test

import (
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// startAs010 is how 0.1.0 starts a session.
const startAs010 = `
	insert into auth.sessions (id, user_id, family_hash, token_hash, create_time, refresh_time, expire_time)
	values (@id, @user_id, @hash, @hash, @now, @now, @end)`

// A session of 0.1.0 goes on after the migration, and so does one that an instance of it starts
// beside new ones.
func TestSessionsOf010GoOn(t *testing.T) {
	c := pgtest.Config(t, migrations.Schema, pgtest.Before(t, migrations.Files, "008_create_browser_sessions.sql"))
	pool := pgtest.Open(t, c)
	const user, before, beside = "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a10", "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a11", "0b7c1c3e-5a52-4a52-9f52-2d6f6c1d7a12"
	now := time.Now().UTC().Truncate(time.Second)
	start := func(id string) [sha256.Size]byte {
		t.Helper()
		hash := sha256.Sum256([]byte(id))
		_, err := pool.Exec(t.Context(), startAs010, pgx.StrictNamedArgs{
			"id": id, "user_id": user, "hash": hash[:], "now": now, "end": now.Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if _, err := pool.Exec(t.Context(), `
		insert into auth.logins (user_id, email, password_hash, state, organization_id, create_time, update_time)
		values ($1, 'ada@example.com', '$hash', 'active', $1, now(), now())`, user); err != nil {
		t.Fatal(err)
	}
	families := map[string][sha256.Size]byte{before: start(before)}
	if err := pg.Migrate(t.Context(), c, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	families[beside] = start(beside)
	pool.Reset() // statements of before name columns of before
	sessions := postgres.NewSessions(pool, outboxtest.New(t, pool, migrations.Schema))
	for id, family := range families {
		found, err := sessions.GetFamily(t.Context(), family)
		if err != nil || found.ID != id || found.ClientID != "" || found.BrowserID != "" || !found.AuthTime.Equal(now) || len(found.AMR) != 0 {
			t.Errorf("session = %+v, %v", found, err)
		}
		err = sessions.Refresh(t.Context(), family, func(session.Session) session.Decision {
			rotation := &session.Rotation{Token: [32]byte{7}, RefreshTime: now.Add(time.Minute), StaleSince: now}
			return session.Decision{Rotate: rotation, Event: postgrestest.Event("auth.session_refreshed")}
		})
		if err != nil {
			t.Errorf("refresh: %v", err)
		}
	}
}
