package postgres_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// What retention removes keeps its hash, though no full tile has it: another instance goes on with
// the log, and what is left is proven. What no checkpoint covers stays.
func TestRemovedEventsKeepTheirHashes(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	var entries []trail.Entry
	for i := range 300 {
		days := 10
		if i >= 250 && i%2 == 0 {
			days = 1
		}
		entries = append(entries, daysAgo(t, days, acme))
	}
	_, err := k.store.Append(t.Context(), entries)
	check.NoError(t, err)
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	proofs := ledger.NewService(postgres.NewLog(k.owner), logKeys(t, 1))
	before := newest(t, proofs)
	_, err = k.store.Append(t.Context(), []trail.Entry{daysAgo(t, 10, acme), daysAgo(t, 1, acme)}) // at 301 and 302, not covered
	check.NoError(t, err)
	k.retain(t, "", trail.Changes, 7)
	done, err := k.upkeep.Keep(t.Context(), time.Now())
	if err != nil || done.Events != 275 {
		t.Fatalf("%d events were removed, %v", done.Events, err)
	}
	var left int
	check.NoError(t, k.owner.QueryRow(t.Context(), "select count(*) from audit.events where position in (300, 301, 302)").Scan(&left))
	if left != 2 {
		t.Errorf("%d of the events around the checkpoint are left", left)
	}

	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	after := newest(t, proofs)
	proof, _, err := proofs.Consistency(t.Context(), before.N, 0)
	check.NoError(t, err)
	if err := tlog.CheckTree(proof, after.N, after.Hash, before.N, before.Hash); err != nil || after.N != 302 {
		t.Errorf("from %d to %d: %v", before.N, after.N, err)
	}
	p, err := proofs.Event(t.Context(), entries[252].Event.ID, 0, "")
	check.NoError(t, err)
	if err := tlog.CheckRecord(p.Proof, p.Size, after.Hash, 252, tlog.RecordHash(entries[252].Sealed.Canonical)); err != nil {
		t.Error(err)
	}
}

// Who reads leaves while events are removed finds each: as an event, or as the hash that is kept.
func TestLeavesAreThereWhileEventsGo(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 10)
	tile := []tlog.Tile{{H: merkle.Height, N: 0, W: 10}}
	before, err := postgres.NewLog(serving).Tiles(t.Context(), tile) // by a session that knows its statements from here on
	check.NoError(t, err)
	tx, err := owner.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), `
		lock table audit.events in access exclusive mode;
		insert into audit.dropped_leaves select position, sha256('\x00'::bytea || canonical) from audit.events;
		delete from audit.events where position <= 5`)
	check.NoError(t, err)
	read := make(chan [][]byte, 1)
	go func() {
		data, err := postgres.NewLog(serving).Tiles(context.WithoutCancel(t.Context()), tile)
		if err != nil {
			t.Error(err)
		}
		read <- data
	}()
	awaits(t, owner, "audit.events")
	check.NoError(t, tx.Commit(t.Context()))
	if after := <-read; !slices.EqualFunc(after, before, bytes.Equal) {
		t.Errorf("%d bytes are read, and there were %d", len(after[0]), len(before[0]))
	}
}

// Keep waits for an erasure before it asks for what everybody waits for.
func TestKeepWaitsForAnErasure(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	kept(t, k.store, []trail.Entry{daysAgo(t, 40, acme), daysAgo(t, 1, acme)}, trail.Kept)
	k.retain(t, "", trail.Changes, 30)
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	erasing, err := k.owner.Begin(t.Context())
	check.NoError(t, err)
	defer func() { _ = erasing.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = erasing.Exec(t.Context(), "lock table audit.holds in share mode")
	check.NoError(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := k.upkeep.Keep(context.WithoutCancel(t.Context()), time.Now())
		done <- err
	}()
	awaits(t, k.owner, "audit.holds")
	check.NoError(t, erasing.Rollback(t.Context()))
	check.NoError(t, <-done)
	if events, _ := k.left(t); events != "2" {
		t.Errorf("left are %s", events)
	}
}

// Of old checkpoints the last of each hour and of each origin stays, with what witnesses have said.
func TestOldCheckpointsAreThinned(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	for range 8 {
		trailtest.Fill(t, k.store, 10)
		check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	}
	_, err := k.owner.Exec(t.Context(), `
		insert into audit.origins (number, origin) values (2, 'id.example.com/audit/2');
		insert into audit.checkpoints select 2, size, root, time, note from audit.checkpoints where size <= 20;
		insert into audit.cosignatures select origin, size, 'witness.example.org', 'said' from audit.checkpoints;
		update audit.checkpoints set time = date_trunc('hour', now()) - interval '10 days' + make_interval(mins => size::int)
			+ case when origin = 1 and size = 80 then interval '5 days' else interval '0' end`)
	check.NoError(t, err)
	for range 2 {
		_, err = k.upkeep.Keep(t.Context(), time.Now())
		check.NoError(t, err)
		var left, said string
		check.NoError(t, k.owner.QueryRow(t.Context(), `
			select (select string_agg(origin || '/' || size, ' ' order by origin, size) from audit.checkpoints),
				(select string_agg(origin || '/' || size, ' ' order by origin, size) from audit.cosignatures)`).Scan(&left, &said))
		if left != "1/50 1/70 1/80 2/20" || said != left {
			t.Errorf("left are %s, cosigned %s", left, said)
		}
	}
	trailtest.Fill(t, k.store, 10)
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
}

// awaits returns when a session waits for the lock of a table.
func awaits(t *testing.T, owner *pgxpool.Pool, table string) {
	t.Helper()
	check.Eventually(t, "somebody waits for "+table, func() bool {
		var waiting bool
		check.NoError(t, owner.QueryRow(t.Context(), `
			select exists (select from pg_locks where not granted and relation = $1::text::regclass
				and database = (select oid from pg_database where datname = current_database()))`, table).Scan(&waiting))
		return waiting
	})
}
