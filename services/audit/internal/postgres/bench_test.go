package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// durable makes a migrated database on a server with settings as in production, and a pool on it of the role that serves.
func durable(b *testing.B, server *pgserver.Server, name string) *pgxpool.Pool {
	b.Helper()
	ctx, secret := b.Context(), config.NewSecret("bench")
	if err := database.EnsureDatabase(ctx, server.SuperURL("postgres"), name); err != nil {
		b.Fatal(err)
	}
	if err := database.EnsureRole(ctx, server.SuperURL(name), "audit_owner", secret, migrations.Schema); err != nil {
		b.Fatal(err)
	}
	if err := database.EnsureServingRole(ctx, server.SuperURL(name), "audit", secret, migrations.Schema, "audit_owner"); err != nil {
		b.Fatal(err)
	}
	owner := pg.Config{URL: server.URL("audit_owner", secret, name)}
	if err := pg.Migrate(ctx, owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)); err != nil {
		b.Fatal(err)
	}
	pool, err := pg.Open(context.Background(), pg.Config{URL: server.URL("audit", secret, name)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	return pool
}

// BenchmarkList is the time of a page of 50 events from 2,000,000 rows beside that from 100,000, in
// interleaved rounds, of searches too: 1,000 events of either have Ada's name, every other one
// Charles's. Bound: 1.5.
func BenchmarkList(b *testing.B) {
	server, _ := pgtest.Server(b)
	few, many := postgres.NewEvents(filled(b, server, "few", 100_000)), postgres.NewEvents(filled(b, server, "many", 2_000_000))
	at := trailtest.Start().Add(time.Minute)
	for name, f := range map[string]trail.Filter{
		"all":          {},
		"until":        {Until: at},
		"actor":        {ActorID: "actor-7"},
		"object":       {ObjectType: "user", ObjectID: "object-7"},
		"organization": {OrganizationID: organization(7)},
		"action":       {Action: "user.deleted"},
		"denied":       {Outcome: event.Denied},
		"request":      {RequestID: "request-7"},
		"search":       {Search: []string{"ada", "love"}},
		"frequent":     {Search: []string{"charles"}},
	} {
		b.Run(name, func(b *testing.B) {
			q := trail.Query{Filter: f, Limit: 50}
			page := func(s *postgres.Events) func(context.Context) error {
				return func(ctx context.Context) error {
					list := s.List
					if len(q.Filter.Search) > 0 {
						list = func(ctx context.Context, q trail.Query) ([]trail.Stored, error) {
							events, _, err := s.Search(ctx, q)
							return events, err
						}
					}
					events, err := list(ctx, q)
					if err == nil && len(events) == 0 {
						return fmt.Errorf("no event matches")
					}
					return err
				}
			}
			for range 10 { // warm
				timed(b, page(few))
				timed(b, page(many))
			}
			var fromFew, fromMany []time.Duration
			for b.Loop() {
				for range 20 {
					fromFew = append(fromFew, timed(b, page(few)))
					fromMany = append(fromMany, timed(b, page(many)))
				}
			}
			s, l := median(fromFew), median(fromMany)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(s.Microseconds()), "us-of-100k")
			b.ReportMetric(float64(l.Microseconds()), "us-of-2M")
			b.ReportMetric(l.Seconds()/s.Seconds(), "ratio")
			b.ReportMetric(1.5, "ratio-bound")
		})
	}
}

// filled makes a database of n events, ten a second, of 100 actors, objects and organizations.
func filled(b *testing.B, server *pgserver.Server, name string, n int) *pgxpool.Pool {
	b.Helper()
	pool := durable(b, server, name)
	if err := errors.Join(fill(b.Context(), pool, n, 100), bringIn(b.Context(), pool, n)); err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), server.SuperURL(name).Reveal())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	if _, err := conn.Exec(b.Context(), "vacuum analyze audit.events, audit.names, audit.personal_values"); err != nil {
		b.Fatal(err)
	}
	return pool
}

func organization(i int) string { return fmt.Sprintf("11111111-2222-4333-8444-%012d", i) }

// fill stores n good events by SQL alone: each is a sealed event whose varying parts are replaced.
// One in 50 is denied, one in 100 is another action; 1,000 have Ada's name, and every other one
// that of Charles. It needs no table that is newer than the values'.
func fill(ctx context.Context, pool *pgxpool.Pool, n, kinds int) error {
	e := trailtest.Event(func(e *event.Event) {
		e.ID, e.OrganizationID = "00000000-0000-4000-8000-000000000000", organization(0)
		e.Actor.ID, e.ObjectID, e.RequestID = "actor-0", "object-0", "request-0"
	})
	template := func(change func(*event.Event)) (string, error) {
		changed := e
		change(&changed)
		sealed, err := changed.Seal(rand.Reader)
		return string(sealed.Canonical), err
	}
	ada, err := called(e, "Ada Lovelace")
	if err != nil {
		return err
	}
	charles, err := called(e, "Charles Babbage")
	if err != nil {
		return err
	}
	plain, err := template(func(*event.Event) {})
	if err != nil {
		return err
	}
	denied, err := template(func(e *event.Event) { e.Outcome, e.Reason = event.Denied, "PERMISSION_DENIED" })
	if err != nil {
		return err
	}
	deleted, err := template(func(e *event.Event) { e.Action = "user.deleted" })
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select n, id, t, 'identity', case when n % 100 = 1 then 'user.deleted' else 'user.updated' end,
			case when n % 50 = 0 then 'denied' else 'success' end,
			'actor-' || k, ('11111111-2222-4333-8444-' || lpad(k::text, 12, '0'))::uuid, 'user', 'object-' || k, 'request-' || n,
			convert_to(replace(replace(replace(replace(replace(replace(
				case when n % 50 = 0 then @denied when n % 100 = 1 then @deleted when n % @every = 7 then @ada when n % 2 = 1 then @charles else @plain end,
				'00000000-0000-4000-8000-000000000000', id::text), @organization, '11111111-2222-4333-8444-' || lpad(k::text, 12, '0')),
				'actor-0', 'actor-' || k), 'object-0', 'object-' || k), 'request-0', 'request-' || n),
				@time, to_char(t at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'utf8')
		from generate_series(1, @n::bigint) n,
			lateral (select timestamptz '2031-01-01 00:00:00Z' + n * interval '100 ms' as t, n % @kinds as k, gen_random_uuid() as id) v`,
		pgx.StrictNamedArgs{
			"n": n, "kinds": kinds, "plain": plain, "denied": denied, "deleted": deleted, "organization": organization(0),
			"time": trailtest.Start().Format("2006-01-02T15:04:05.000000Z"), "every": n / 1000, "ada": string(ada.Canonical), "charles": string(charles.Canonical),
		})
	if err != nil {
		return err
	}
	const named = " from audit.events where position % 100 <> 1 and (position % $1 = 7) = $2 and position % 2 = 1"
	for isAda, s := range map[bool]event.Sealed{true: ada, false: charles} {
		p := s.Personal[0]
		if _, err := pool.Exec(ctx, "insert into audit.personal_values select position, $3, $4, $5"+named, n/1000, isAda, p.Field, p.Salt, p.Value); err != nil {
			return err
		}
	}
	return nil
}

// bringIn does what BringNames does after fill, at once.
func bringIn(ctx context.Context, pool *pgxpool.Pool, n int) error {
	for _, name := range []string{"Ada Lovelace", "Charles Babbage"} {
		if _, err := pool.Exec(ctx, `
			insert into audit.names select v.position, v.field, unnest($1::text[]), e.time, e.organization_id, e.actor_id, e.object_id
			from audit.personal_values v join audit.events e on e.position = v.position where v.value = to_json($2::text)::text`, trail.Words(name), name); err != nil {
			return err
		}
	}
	_, err := pool.Exec(ctx, "update audit.names_progress set position = $1", n)
	return err
}

// called seals an event with somebody's name.
func called(e event.Event, name string) (event.Sealed, error) {
	e.Changes = event.PersonalTexts("user.display_name", name)
	return e.Seal(rand.Reader)
}

func timed(b *testing.B, do func(context.Context) error) time.Duration {
	b.Helper()
	began := time.Now()
	if err := do(b.Context()); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

func median(all []time.Duration) time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	return all[len(all)/2]
}
