package postgres_test

import (
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Dropping a month looks for holds of each event a few times, however many parts its personal
// values go in.
func TestDroppingAMonthIsLinear(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	const n = 31_000 // seven parts
	pastMonths(t, k.owner, time.Now().AddDate(0, -6, 0))
	_, err := k.owner.Exec(t.Context(), `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
		select n, gen_random_uuid(), date_trunc('month', now() at time zone 'utc') at time zone 'utc' - interval '3 months' + n * interval '1 second',
			'identity', 'user.updated', 'success', 'actor', null, 'user', 'object', '', 'x' from generate_series(1, $1::bigint) n`, n)
	check.NoError(t, err)
	_, err = k.owner.Exec(t.Context(), `insert into audit.personal_values select n, 'email', repeat('x', 16)::bytea, '""' from generate_series(1, $1::bigint) n`, n)
	check.NoError(t, err)
	kept(t, k.store, []trail.Entry{daysAgo(t, 0, acme)}, trail.Kept)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 40)
	}
	done := k.keep(t)
	if done.Events != n || done.PersonalValues != n || len(done.Months) == 0 {
		t.Errorf("removed are %d events and %d values with the months %v", done.Events, done.PersonalValues, done.Months)
	}
	var looks int
	check.Eventually(t, "the looks are counted", func() bool {
		_, err := k.owner.Exec(t.Context(), "select pg_stat_force_next_flush()")
		check.NoError(t, err)
		check.NoError(t, k.owner.QueryRow(t.Context(), "select seq_scan from pg_stat_user_tables where relid = 'audit.holds'::regclass").Scan(&looks))
		return looks >= n
	})
	if looks > 3*n+1000 {
		t.Errorf("holds of %d events are looked for %d times", n, looks)
	}
}
