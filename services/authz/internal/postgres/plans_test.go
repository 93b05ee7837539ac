package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
)

// What every instance asks again and again, and what every write asks, reads an index: a month of commands must cost as much as a day.
func TestPlansOfTheCommandLog(t *testing.T) {
	t.Parallel()
	pool := filledPool(t)
	id := "11111111-2222-4333-8444-000000000007"
	ids := []string{id, "11111111-2222-4333-8444-000000000009"}
	for title, c := range map[string]struct {
		sql   string
		args  pgx.StrictNamedArgs
		index string
	}{
		"claim any":         {claim, pgx.StrictNamedArgs{"ids": []string(nil), "lease": time.Second}, "commands_abandoned"},
		"claim one of some": {claim, pgx.StrictNamedArgs{"ids": ids, "lease": time.Second}, ""},
		"renew":             {renew, pgx.StrictNamedArgs{"id": id, "claim": 0, "lease": time.Second}, "commands_pkey"},
		"states":            {states, pgx.StrictNamedArgs{"ids": ids}, "commands_pkey"},
		"forget":            {forget, pgx.StrictNamedArgs{"before": time.Now().Add(-30 * 24 * time.Hour), "row_limit": 500}, "commands_ended"},
		"holders":           {holders, pgx.StrictNamedArgs{"id": id, "objects": []string{"user:7", "user:8"}}, "object_locks_pkey"},
		"release":           {releaseLocks, pgx.StrictNamedArgs{"id": id}, "object_locks_by_command"},
		"ended":             {selectEnded, endedArgs(lately(t), 50), "commands_by_writer"},
	} {
		t.Run(title, func(t *testing.T) {
			pgtest.WantIndex(t, pool, c.index, c.sql, c.args, "Seq Scan")
		})
	}
}

// lately is a cursor of a moment ago, with a transaction that runs for long.
func lately(t *testing.T) cursor.Cursor {
	t.Helper()
	s, err := cursor.ParseSnapshot("5:29990:5")
	if err != nil {
		t.Fatal(err)
	}
	return cursor.Cursor{Seen: cursor.Mark{Snapshot: s, Time: time.Now()}}
}

// filledPool is a command log of a month: nearly all have ended, a few hundred are under way with their locks.
func filledPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t, migrations.Schema, migrations.Files)
	for _, sql := range []string{
		`insert into authz.commands (id, state, fingerprint, writes, deletes, event_id, event_key, event, claim, claim_until, accept_time, end_time)
		select ('11111111-2222-4333-8444-' || lpad(n::text, 12, '0'))::uuid, case when n % 100 = 7 then 'accepted' else 'applied' end,
			'x', array['organization:o#member@user:' || n], '{}', gen_random_uuid(), 'organization:o', case when n % 100 = 7 then 'x'::bytea end, 0,
			now() - n * interval '2 minutes', now() - n * interval '2 minutes', case when n % 100 <> 7 then now() - n * interval '2 minutes' end
		from generate_series(1, 30000) n`,
		`insert into authz.object_locks (object, command_id)
		select 'user:' || n || '-' || m, ('11111111-2222-4333-8444-' || lpad(n::text, 12, '0'))::uuid
		from generate_series(7, 30000, 100) n, generate_series(1, 20) m`,
		`alter table authz.commands disable trigger commands_over`,
		`update authz.commands set writer = (30000 - right(id::text, 6)::int)::text::xid8 where state <> 'accepted'`,
		`alter table authz.commands enable trigger commands_over`,
		`analyze authz.commands, authz.object_locks`,
	} {
		if _, err := pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}
