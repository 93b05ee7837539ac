package api_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// BenchmarkListUsers is ListUsers, a page of 50 among 1,000,000 users beside one among 10,000, asked in turns without the mesh: of all
// organizations and of one that every tenth user is in; from the start, from random places, and by email address. Bound: ratio 1.5 for each.
func BenchmarkListUsers(b *testing.B) {
	small, large := filled(b, 10_000), filled(b, 1_000_000)
	ratios := map[string][]float64{}
	for b.Loop() {
		for range 5 {
			for name, ask := range map[string]func(s stock) *identityv1.ListUsersRequest{
				"all":       func(stock) *identityv1.ListUsersRequest { return &identityv1.ListUsersRequest{} },
				"all-later": func(s stock) *identityv1.ListUsersRequest { return &identityv1.ListUsersRequest{Filter: s.later()} },
				"all-email": func(s stock) *identityv1.ListUsersRequest { return &identityv1.ListUsersRequest{Filter: s.email()} },
				"one":       func(s stock) *identityv1.ListUsersRequest { return s.ofOne("") },
				"one-later": func(s stock) *identityv1.ListUsersRequest { return s.ofOne(s.later()) },
				"one-email": func(s stock) *identityv1.ListUsersRequest { return s.ofOne(s.email()) },
			} {
				ratios[name] = append(ratios[name], compare(b, small, large, ask))
			}
		}
	}
	for name, values := range ratios {
		slices.Sort(values)
		b.ReportMetric(values[len(values)/2], name+"-ratio")
	}
	b.ReportMetric(1.5, "ratio-bound")
	b.ReportMetric(0, "ns/op") // a round, which says nothing
}

// BenchmarkImportUsers is an import of 100,000 users without the mesh, killed in the middle and
// repeated: exactly the users of the file are there then, with one event each. The users a second
// are those of the repetition, of which about half are created, and must not become fewer with the
// number of users: it ends within three minutes. The peer is one raw COPY of the same rows, users
// and outbox, from memory into the same tables, with their indexes and triggers, of another
// database.
func BenchmarkImportUsers(b *testing.B) {
	const users = 100_000
	s := newService(b)
	created, took := importTwice(b, s, users)
	peer := copied(b, s, newService(b))
	for b.Loop() { // nothing: one import says enough, however often -benchtime wants it
	}
	b.ReportMetric(users/took.Seconds(), "users/s")
	b.ReportMetric(users/peer.Seconds(), "copy-users/s")
	b.ReportMetric(float64(created)/took.Seconds(), "created-users/s")
	b.ReportMetric(float64(created)/took.Seconds()*peer.Seconds()/users, "of-copy")
	b.ReportMetric(0, "ns/op")
}

// copied is how long a COPY of one service's rows into another's tables takes.
func copied(b *testing.B, from, to service) time.Duration {
	b.Helper()
	source, err := from.Pool.Acquire(b.Context())
	check.NoError(b, err)
	defer source.Release()
	target, err := to.Pool.Acquire(b.Context())
	check.NoError(b, err)
	defer target.Release()
	tables := []string{"identity.organizations", "identity.users", "identity.outbox"}
	rows := make([]bytes.Buffer, len(tables))
	for i, table := range tables {
		_, err := source.Conn().PgConn().CopyTo(b.Context(), &rows[i], "copy "+table+" to stdout (format binary)")
		check.NoError(b, err)
	}
	began := time.Now()
	for i, table := range tables {
		_, err := target.Conn().PgConn().CopyFrom(b.Context(), &rows[i], "copy "+table+" from stdin (format binary)")
		check.NoError(b, err)
	}
	return time.Since(began)
}

// stock is a service with so many users, created one a millisecond from epoch on, every tenth of them in one organization.
type stock struct {
	client         identityv1.UserServiceClient // of an administrator
	users          int
	organizationID string
}

func epoch() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }

func filled(b *testing.B, users int) stock {
	b.Helper()
	service := newService(b)
	administrator := &identityv1.User{Id: uuid.NewString(), OrganizationId: uuid.NewString()}
	service.grants.Allow(administrator.GetId(), "can_list_users", "platform:gatehouse")
	s := stock{client: service.as(administrator), users: users, organizationID: uuid.NewString()}
	for _, sql := range []string{
		`insert into identity.organizations (id, display_name, personal, revision, create_time, update_time)
		values (@id::uuid, 'Analytical', false, 1, @at, @at), (gen_random_uuid(), 'Other', false, 1, @at::timestamptz + @users * interval '1 ms', @at)`,
		`insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time)
		select case n % 10 when 0 then @id::uuid else other.id end, gen_random_uuid(), n || '@example.com', 'Ada ' || n, '', '', 'active', 1, t, t
		from generate_series(0, @users - 1) n, (select id from identity.organizations where id <> @id) other,
			lateral (select @at::timestamptz + n * interval '1 ms' as t) times`,
	} {
		_, err := service.Pool.Exec(b.Context(), sql, pgx.StrictNamedArgs{"id": s.organizationID, "users": users, "at": epoch()})
		check.NoError(b, err)
	}
	_, err := service.Pool.Exec(b.Context(), `vacuum (analyze) identity.users`)
	check.NoError(b, err)
	return s
}

func (s stock) ofOne(filter string) *identityv1.ListUsersRequest {
	return &identityv1.ListUsersRequest{OrganizationId: s.organizationID, Filter: filter}
}

// later asks for users from a random place on.
func (s stock) later() string {
	place := epoch().Add(time.Duration(rand.IntN(s.users*9/10)) * time.Millisecond)
	return fmt.Sprintf("create_time >= %q", place.Format(time.RFC3339Nano))
}

// email asks for one user, of the organization.
func (s stock) email() string {
	return fmt.Sprintf(`email = "%d@example.com"`, rand.IntN(s.users/10)*10)
}

// compare returns the median time of a page of the large stock divided by that of the small one.
func compare(b *testing.B, small, large stock, ask func(s stock) *identityv1.ListUsersRequest) float64 {
	const pages = 200
	var took [2][]time.Duration
	for range pages {
		for i, s := range []stock{small, large} {
			r := ask(s)
			began := time.Now()
			page, err := s.client.ListUsers(b.Context(), r)
			took[i] = append(took[i], time.Since(began))
			check.NoError(b, err)
			if n := len(page.GetUsers()); n != 50 && n != 1 {
				b.Fatalf("got %d users for %v", n, r)
			}
		}
	}
	for _, t := range took {
		slices.Sort(t)
	}
	return float64(took[1][pages/2]) / float64(took[0][pages/2])
}
