package postgres_test

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/migrations"
)

// What lower() of a Turkish locale made of addresses is fixed, and where two users would have one
// address, both keep what they have (issue 8, line 16).
func TestMigrationMendsFoldedAddresses(t *testing.T) {
	t.Parallel()
	before := pgtest.Before(t, migrations.Files, "006_create_relay.sql")
	c := pgtest.Config(t, migrations.Schema, before)
	pool := pgtest.Open(t, c)
	home, elsewhere := uuid.NewString(), uuid.NewString()
	_, err := pool.Exec(t.Context(), `
		insert into identity.organizations (id, display_name, personal, revision, create_time, update_time)
		values ($1, 'home', false, 1, now(), now()), ($2, 'elsewhere', false, 1, now(), now())`, home, elsewhere)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), `
		insert into identity.users (organization_id, id, email, display_name, locale, time_zone, state, revision, create_time, update_time)
		select organization_id::uuid, gen_random_uuid(), email, '', '', '', 'active', 1, now(), now()
		from (values ($1, 'ıda@example.com'), ($1, 'kim@example.com'), ($1, 'kım@example.com'), ($2, 'kım@example.com'), ($2, 'a.ı.ı@example.com'))
			as u (organization_id, email)`, home, elsewhere)
	check.NoError(t, err)
	check.NoError(t, pg.Migrate(t.Context(), c, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)))
	var at, other []string
	check.NoError(t, pool.QueryRow(t.Context(), `
		select array_agg(email order by email collate "C") filter (where organization_id = $1), array_agg(email order by email collate "C") filter (where organization_id = $2)
		from identity.users`, home, elsewhere).Scan(&at, &other))
	if want := []string{"ida@example.com", "kim@example.com", "kım@example.com"}; !slices.Equal(at, want) {
		t.Errorf("at home are %v, want %v", at, want)
	}
	if want := []string{"a.i.i@example.com", "kim@example.com"}; !slices.Equal(other, want) {
		t.Errorf("elsewhere are %v, want %v", other, want)
	}
}
