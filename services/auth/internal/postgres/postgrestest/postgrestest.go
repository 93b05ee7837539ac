// Package postgrestest gives tests of Auth an empty database with its stores, and reads what they appended to the outbox.
package postgrestest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/authz"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
	"github.com/gatehouse/gatehouse/services/auth/internal/signingkey"
	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// Database is an empty database of Auth, without a relay: what is appended stays.
type Database struct {
	Pool     *pgxpool.Pool
	Outbox   *outbox.Outbox
	Mails    *postgres.Mails
	Logins   *postgres.Logins
	Resets   *postgres.Resets
	Emails   *postgres.EmailChanges
	Sessions *postgres.Sessions
	Clients  *postgres.Clients
	Overview *postgres.Overview
	Browsers *postgres.Browsers
	Factors  *postgres.Factors

	MailedCodes *postgres.MailedCodes
	SigningKeys *postgres.SigningKeys
	IDTokenKeys map[string]*postgres.SigningKeys // by algorithm
}

// Open makes a database that goes with the test.
func Open(t *testing.T) *Database {
	t.Helper()
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	o := outboxtest.New(t, pool, migrations.Schema)
	mails := postgres.NewMails(pool, func(context.Context, mail.Kind) {})
	return &Database{
		Pool: pool, Outbox: o, Mails: mails, Logins: postgres.NewLogins(pool, o, mails), Resets: postgres.NewResets(pool, o, mails), Emails: postgres.NewEmailChanges(pool, o, mails), Sessions: postgres.NewSessions(pool, o),
		Overview: postgres.NewOverview(pool, o, mails), Clients: postgres.NewClients(pool, o), Browsers: postgres.NewBrowsers(pool, o),
		MailedCodes: postgres.NewMailedCodes(pool, o, mails), Factors: postgres.NewFactors(pool, o, mails), SigningKeys: postgres.NewSigningKeys(pool, o), IDTokenKeys: idTokenKeys(pool, o),
	}
}

func idTokenKeys(pool *pgxpool.Pool, o *outbox.Outbox) map[string]*postgres.SigningKeys {
	stores := map[string]*postgres.SigningKeys{}
	for _, algorithm := range signingkey.IDAlgorithms() {
		stores[algorithm] = postgres.NewIDTokenKeys(pool, o, algorithm)
	}
	return stores
}

// Throttled is a guard over the database, as every instance of Auth has one.
func (d *Database) Throttled(now func() time.Time) *throttle.Guard {
	return throttle.New(throttle.Params{
		Store: postgres.NewFailures(d.Pool), Secret: make([]byte, 32), Budget: 300, NewID: uuid.NewString, Now: now, Throttled: func(string) {},
	})
}

// Request returns a context with the event of a request, as the gRPC server makes it.
func Request(ctx context.Context, action string) context.Context {
	return event.NewContext(ctx, Event(action))
}

// Event is the event of a request.
func Event(action string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: action, Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous}, ObjectType: "user",
		RequestID: "request-1", TraceID: "0123456789abcdef0123456789abcdef",
		Changes: []event.Change{{Field: "email", Value: []byte(`"ada@example.com"`), Personal: true}},
	}
}

// Recorded returns the events that wait for Audit, in order.
func (d *Database) Recorded(t *testing.T) []event.Event {
	t.Helper()
	return outboxtest.Events(t, d.Pool, migrations.Schema)
}

// Related returns the changes that wait for Authz, by their consistency tokens.
func (d *Database) Related(t *testing.T) map[string]relation.Change {
	t.Helper()
	rows, err := d.Pool.Query(t.Context(), `select id::text, topic, key, payload from auth.outbox where topic = @topic`,
		pgx.StrictNamedArgs{"topic": authz.Topic})
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[outbox.Message])
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]relation.Change{}
	for _, m := range found {
		c, err := authz.ParseChange(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		changes[request.TokenOf(m.ID).String()] = c.Change
	}
	return changes
}

// Queue commits a transaction that adds a mail to the queue.
func (d *Database) Queue(t *testing.T, q *mail.Queued) {
	t.Helper()
	err := pgx.BeginFunc(t.Context(), d.Pool, func(tx pgx.Tx) error { return d.Mails.Queue(t.Context(), tx, q) })
	if err != nil {
		t.Error(err)
	}
}

// Below stores a client's session below a browser session, as the statement that takes an
// authorization code does.
func (d *Database) Below(t *testing.T, n session.Session) {
	t.Helper()
	_, err := d.Pool.Exec(t.Context(), `
		insert into auth.sessions (id, user_id, family_hash, token_hash, auth_time, amr, address, user_agent, create_time, refresh_time,
		    expire_time, browser_session_id, client_id, scope, audience)
		values (@id, @user_id, @family_hash, @token_hash, @auth_time, @amr, @address, @user_agent, @create_time, @refresh_time,
		    @expire_time, @browser_session_id, @client_id, @scope, @audience)`,
		pgx.StrictNamedArgs{
			"id": n.ID, "user_id": n.UserID, "family_hash": n.Family[:], "token_hash": n.Token[:], "auth_time": n.AuthTime, "amr": n.AMR,
			"address": n.From.Address, "user_agent": n.From.Agent, "create_time": n.CreateTime, "refresh_time": n.RefreshTime,
			"expire_time": n.ExpireTime, "browser_session_id": n.BrowserID, "client_id": n.ClientID, "scope": n.Scope, "audience": n.Audience,
		})
	if err != nil {
		t.Fatal(err)
	}
}
