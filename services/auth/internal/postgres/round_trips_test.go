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

// A session and its event cost a sign-in one statement, a sign-out one too.
func TestSessionsStartAndEndInOneRoundTrip(t *testing.T) { // R67
	db := postgrestest.Open(t)
	user, _ := activeLogin(t, db)
	count := &queries{}
	config := db.Pool.Config()
	config.ConnConfig.Tracer = count
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	sessions := postgres.NewSessions(pool, outboxtest.New(t, pool, migrations.Schema))
	signedIn, now := postgrestest.Event("auth.signed_in"), time.Now()
	s := session.Session{ID: uuid.NewString(), UserID: user, CreateTime: now, RefreshTime: now, ExpireTime: now.Add(time.Hour)}
	if err := sessions.Start(t.Context(), s, signedIn); err != nil {
		t.Fatal(err)
	}
	if err := sessions.End(t.Context(), user, session.Revocation{SessionID: s.ID, ExpireTime: now}, signedIn); err != nil {
		t.Fatal(err)
	}
	if n, events := count.n.Load(), len(db.Recorded(t)); n != 2 || events != 3 {
		t.Fatalf("%d statements and %d events, want 2 and 3 with that of the login", n, events)
	}
}
