package postgres_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// queries counts what is sent to the database.
type queries struct{ n atomic.Int64 }

func (q *queries) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	q.n.Add(1)
	return ctx
}

func (*queries) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// A session and its event cost a sign-in one statement, a sign-out one too, and a refresh two:
// what it reads, and what it changes.
func TestSessionsTakeFewRoundTrips(t *testing.T) { // R67
	db := postgrestest.Open(t)
	user, _ := activeLogin(t, db)
	count := &queries{}
	config := db.Pool.Config()
	config.ConnConfig.Tracer = count
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	check.NoError(t, err)
	defer pool.Close()
	sessions := postgres.NewSessions(pool, outboxtest.New(t, pool, migrations.Schema))
	e, now := postgrestest.Event("auth.signed_in"), time.Now()
	s := session.Session{ID: uuid.NewString(), UserID: user, CreateTime: now, RefreshTime: now, ExpireTime: now.Add(time.Hour)}
	for _, step := range []struct {
		name       string
		do         func() error
		statements int64
	}{
		{"start", func() error { return sessions.Start(t.Context(), s, e) }, 1},
		{"refresh", func() error {
			return sessions.Refresh(t.Context(), s.Family, func(session.Session) session.Decision {
				return session.Decision{Rotate: &session.Rotation{Token: [32]byte{7}, RefreshTime: now}, Event: e}
			})
		}, 2},
		{"end", func() error {
			return sessions.End(t.Context(), user, session.Revocation{SessionID: s.ID, ExpireTime: now}, e)
		}, 1},
	} {
		before, events := count.n.Load(), len(db.Recorded(t))
		check.NoError(t, step.do())
		if n, more := count.n.Load()-before, len(db.Recorded(t))-events; n != step.statements || more != 1 {
			t.Errorf("%s: %d statements and %d events, want %d and 1", step.name, n, more, step.statements)
		}
	}
}
