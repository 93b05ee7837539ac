package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// passed makes a whole pass, each step by an instance of its own, and returns what is stored and
// logged of it, and in how many steps.
func passed(t *testing.T, serving, owner *pgxpool.Pool) (found postgres.PassState, log string, steps int) {
	t.Helper()
	var logged bytes.Buffer
	_, err := owner.Exec(t.Context(), "update audit.log_pass set started = '-infinity', ended = '-infinity'")
	check.NoError(t, err)
	for underWay := true; underWay; steps++ {
		if steps > 100 {
			t.Fatal("the pass does not end")
		}
		step := ledger.NewChecker(postgres.NewLog(serving), logKeys(t, 1), slog.New(slog.NewTextHandler(&logged, nil))).Step
		check.NoError(t, step(t.Context()))
		check.NoError(t, owner.QueryRow(t.Context(), "select under_way from audit.log_pass").Scan(&underWay))
	}
	found, err = postgres.NewLog(serving).LastPass(t.Context())
	check.NoError(t, err)
	return found, logged.String(), steps
}

// R69: what the database's superuser does to 600 events that were signed is found by the next pass,
// with its place.
func TestAPassFindsWhatTheSuperuserDid(t *testing.T) {
	t.Parallel()
	const (
		edit     = `update audit.events set canonical = replace(encode(canonical, 'escape'), 'user', 'abus')::bytea where position = `
		exchange = `update audit.events e set canonical = o.canonical from audit.events o where (e.position, o.position) in ((21, 31), (31, 21))`
	)
	for name, c := range map[string]struct {
		tamper string
		count  int64
		places []string
	}{
		"nothing":    {"select 1", 0, nil},
		"an edit":    {edit + "10", 1, []string{"position 10: the event does not have the hash"}},
		"a deletion": {`delete from audit.events where position = 11`, 1, []string{"position 11: the event is gone"}},
		"a reorder":  {exchange, 2, []string{"position 21: the event", "position 31: the event"}},
		"a second event": {`insert into audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id, canonical)
			select position, gen_random_uuid(), time + interval '1 s', source, action, outcome, actor_id,
			organization_id, object_type, object_id, request_id, canonical from audit.events where position = 12`, 1, []string{"position 12: it has 2 events"}},
		"a hash of a tile": {`update audit.tiles set hashes = overlay(hashes placing sha256('') from 33) where level = 0 and index = 1`, 2,
			[]string{"positions 257 to 512: tile 1 of level 0 does not have its root", "position 258: the event"}},
		"the root of a tile": {`update audit.tiles set root = sha256('') where level = 0 and index = 1`, 2,
			[]string{"positions 257 to 512: tile 1 of level 0 does not have its root", "positions 513 to 600, or tiles before them: the tree"}},
		"a tile":               {`delete from audit.tiles where index = 0`, 2, []string{"positions 1 to 256: tile 0 of level 0 is missing"}},
		"an edit of the edge":  {edit + "599", 1, []string{"positions 513 to 600, or tiles before them: the tree of 600 leaves"}},
		"a deletion of its":    {`delete from audit.events where position = 590`, 2, []string{"position 590: the event is gone", "positions 513 to 600"}},
		"a truncation":         {`delete from audit.events where position > 598`, 3, []string{"position 599: ", "position 600: "}},
		"the root of all":      {`update audit.checkpoints set root = sha256('') where size = 600`, 2, []string{"the tree of 600 leaves", "no key of this log has signed it"}},
		"somebody's signature": {`update audit.checkpoints set note = replace(note, '— ', '— x') where size = 600`, 1, []string{"no key of this log"}},
		"very much":            {`delete from audit.events where position < 200`, 199, []string{"position 20: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner := pools(t)
			trailtest.Fill(t, postgres.NewEvents(serving), 600)
			check.NoError(t, sequencer(t, serving).Grow(t.Context()))
			_, err := pgtest.Superuser(t, owner).Exec(t.Context(), c.tamper)
			check.NoError(t, err)
			found, log, _ := passed(t, serving, owner)
			if found.Differences != c.count || found.Unknown != 0 || time.Since(found.Ended) > time.Hour {
				t.Errorf("found %+v\n%s", found, log)
			}
			for _, place := range c.places {
				if !strings.Contains(log, place) {
					t.Errorf("the log does not say %q:\n%s", place, log)
				}
			}
			if n := strings.Count(log, "level=ERROR"); (c.count > 0) != (n > 0) || n > 2 || strings.Contains(log, "position 21: ") && c.count > 20 {
				t.Errorf("logged:\n%s", log)
			}
		})
	}
}

// What retention removed is no difference, one by one or with its month, in full tiles or at the
// edge; what somebody else removed beside it is. Of what was gone before removals were recorded it
// is not known, and said so.
func TestAPassKnowsWhatRetentionRemoved(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	pastMonths(t, k.owner, time.Now().AddDate(0, -6, 0))
	var entries []trail.Entry
	for i := range 700 {
		days := 1
		switch {
		case i < 260:
			days = 100 // in a month that goes as a whole
		case i%3 == 0:
			days = 10
		}
		entries = append(entries, daysAgo(t, days, acme))
	}
	_, err := k.store.Append(t.Context(), entries)
	check.NoError(t, err)
	_, err = k.store.Append(t.Context(), []trail.Entry{daysAgo(t, 1, acme)})
	check.NoError(t, err)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 7)
	}
	done := k.keep(t)
	if done.Events != 407 || len(done.Months) == 0 {
		t.Fatalf("%+v", done)
	}
	if found, log, _ := passed(t, k.owner, k.owner); found.Differences != 0 || found.Unknown != 0 || !strings.Contains(log, "the audit log is what was signed") {
		t.Errorf("after retention: %+v\n%s", found, log)
	}
	super := pgtest.Superuser(t, k.owner)
	_, err = super.Exec(t.Context(), "delete from audit.events where position in (302, 650)")
	check.NoError(t, err)
	if found, log, _ := passed(t, k.owner, k.owner); found.Differences != 2 || !strings.Contains(log, "position 302: the event is gone") ||
		!strings.Contains(log, "position 650: the event is gone") {
		t.Errorf("after a deletion: %+v\n%s", found, log)
	}
	_, err = super.Exec(t.Context(), "update audit.log_pass set unknown_until = 302")
	check.NoError(t, err)
	if found, log, _ := passed(t, k.owner, k.owner); found.Differences != 1 || found.Unknown != 1 {
		t.Errorf("with a position of which it is not known: %+v\n%s", found, log)
	}
}

// A pass is made in steps, which any instance goes on with; the levels above are looked at too.
func TestAPassGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	const n = merkle.Width*merkle.Width + 100
	_, err := owner.Exec(t.Context(), `
		insert into audit.events (position, id, time, source, action, outcome, actor_id, object_type, object_id, request_id, canonical)
		select n, gen_random_uuid(), now(), 'identity', 'user.updated', 'success', '', 'user', '', '', n::text::bytea from generate_series(1, $1::int) n`, n)
	check.NoError(t, err)
	check.NoError(t, sequencer(t, serving).Grow(t.Context()))
	found, log, steps := passed(t, serving, owner)
	if found.Differences != 0 || steps != 17 {
		t.Errorf("%d steps, found %+v\n%s", steps, found, log)
	}
	check.NoError(t, ledger.NewChecker(postgres.NewLog(serving), logKeys(t, 1), slog.New(slog.DiscardHandler)).Step(t.Context()))
	var again bool
	check.NoError(t, owner.QueryRow(t.Context(), "select under_way from audit.log_pass").Scan(&again))
	if again {
		t.Error("another pass begins within the day")
	}
	super := pgtest.Superuser(t, owner)
	_, err = super.Exec(t.Context(), "update audit.tiles set hashes = overlay(hashes placing sha256('') from 33) where level = 1")
	check.NoError(t, err)
	found, log, _ = passed(t, serving, owner)
	if found.Differences != 2 || !strings.Contains(log, "positions 257 to 512: the root of tile 1 of level 0 is not the one in the level above") ||
		!strings.Contains(log, "positions 1 to 65536: tile 0 of level 1 does not have its root") {
		t.Errorf("found %+v\n%s", found, log)
	}
}

// While one instance is at the pass, another has nothing to do, does not wait, and leaves no error
// in the server's log; whoever stores and grows the log is not held up.
func TestAPassHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	events, store := postgres.NewEvents(serving), postgres.NewLog(serving)
	trailtest.Fill(t, events, 300)
	check.NoError(t, sequencer(t, serving).Grow(t.Context()))
	c := serving.Config()
	var errs failed
	c.ConnConfig.Tracer = &errs
	elsewhere, err := pgxpool.NewWithConfig(t.Context(), c)
	check.NoError(t, err)
	defer elsewhere.Close()
	other := ledger.NewChecker(postgres.NewLog(elsewhere), logKeys(t, 1), slog.New(slog.DiscardHandler))
	err = store.Pass(t.Context(), time.Hour, func(p ledger.Pass, r ledger.PassReader) (ledger.Pass, error) {
		check.NoError(t, other.Step(t.Context()))
		trailtest.Fill(t, events, 300)
		check.NoError(t, sequencer(t, serving).Grow(t.Context()))
		if state, err := r.State(t.Context()); err != nil || state.Last.Tree.N != 300 {
			t.Errorf("it sees more than one state: %d leaves, %v", state.Last.Tree.N, err)
		}
		return p, nil
	})
	check.NoError(t, err)
	if len(errs) > 0 {
		t.Errorf("the server's log has errors: %v", errs)
	}
	if found, log, _ := passed(t, serving, owner); found.Differences != 0 {
		t.Errorf("found %+v\n%s", found, log)
	}
}

// failed are the errors of the statements that it traces.
type failed []error

func (*failed) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (r *failed) TraceQueryEnd(_ context.Context, _ *pgx.Conn, end pgx.TraceQueryEndData) {
	if end.Err != nil {
		*r = append(*r, end.Err)
	}
}

// A step that begins while retention drops a month waits for that, and sees then that retention did
// it.
func TestAPassBesideADroppedMonth(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	pastMonths(t, k.owner, time.Now().AddDate(0, -6, 0))
	var entries []trail.Entry
	for range 300 {
		entries = append(entries, daysAgo(t, 400, acme)) // in the partition that goes first
	}
	_, err := k.store.Append(t.Context(), append(entries, daysAgo(t, 1, acme), daysAgo(t, 1, acme)))
	check.NoError(t, err)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 7)
	}
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	_, err = postgres.ExtendMonths(t.Context(), k.owner, time.Now(), slog.New(slog.DiscardHandler)) // it would come to the gate first
	check.NoError(t, err)
	_, err = k.owner.Exec(t.Context(), "update audit.log_pass set started = '-infinity'")
	check.NoError(t, err)
	open := gate(t, k.owner)
	dropped, stepped := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := k.upkeep.Keep(context.WithoutCancel(t.Context()), time.Now())
		dropped <- err
	}()
	awaits(t, k.owner, "audit.gate") // it has the locks of the month, and has noted what it removes
	checker := ledger.NewChecker(postgres.NewLog(k.serving), logKeys(t, 1), slog.New(slog.DiscardHandler))
	go func() { stepped <- checker.Step(context.WithoutCancel(t.Context())) }()
	awaits(t, k.owner, "audit.events")
	open()
	check.NoError(t, <-stepped)
	check.NoError(t, <-dropped)
	var at, differences int64
	check.NoError(t, k.owner.QueryRow(t.Context(), "select tile, differences from audit.log_pass").Scan(&at, &differences))
	if events, _ := k.left(t); at == 0 || differences != 0 || events != "301 302" {
		t.Errorf("up to tile %d are %d differences, left are %s", at, differences, events)
	}
}

// gate holds up whoever changes a table, until it is opened.
func gate(t *testing.T, owner *pgxpool.Pool) (open func()) {
	t.Helper()
	super := pgtest.Superuser(t, owner)
	for _, statement := range []string{
		"create table audit.gate ()",
		`create function audit.pass_gate() returns event_trigger language plpgsql security definer set lock_timeout = 0 as $$
			begin lock table audit.gate in access share mode; end $$`,
		"create event trigger pass_gate on ddl_command_start when tag in ('ALTER TABLE') execute function audit.pass_gate()",
		"begin",
		"lock table audit.gate in access exclusive mode",
	} {
		_, err := super.Exec(t.Context(), statement)
		check.NoError(t, err)
	}
	return func() {
		_, err := super.Exec(t.Context(), "rollback")
		check.NoError(t, err)
	}
}
