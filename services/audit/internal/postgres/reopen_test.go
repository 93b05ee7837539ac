package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// reopened begins the next origin, as an administrator does.
func reopened(t *testing.T, pool *pgxpool.Pool) (next ledger.Reopened, told []event.Event, err error) {
	t.Helper()
	store := postgres.NewLog(pool).WithOutbox(outboxtest.New(t, pool, migrations.Schema))
	next, err = ledger.NewService(store, logKeys(t, 1)).Reopen(t.Context(), "cut", event.Own(t.Context(), "audit", "audit.log_reopened", "audit_log"))
	return next, outboxtest.Events(t, pool, migrations.Schema), err
}

// delivered stores the last event, as the outbox does a moment later.
func delivered(t *testing.T, pool *pgxpool.Pool, told []event.Event) {
	t.Helper()
	e := told[len(told)-1]
	e.Actor = event.Actor{Type: event.Service, ID: "audit"}
	_, err := postgres.NewEvents(pool).Append(t.Context(), []trail.Entry{trailtest.Entry(t, e)})
	check.NoError(t, err)
}

// verified reads the whole log as `gatehouse audit verify` does, by the key of that origin.
func verified(t *testing.T, pool *pgxpool.Pool, number int) (auditlog.Signed, auditlog.CheckReport) {
	t.Helper()
	log := ledger.NewService(postgres.NewLog(pool), logKeys(t, 1))
	note, _, err := log.Checkpoint(t.Context())
	check.NoError(t, err)
	pinned, err := logKeys(t, 1).Verifiers(fmt.Sprintf("%s/audit/%d", platform, number))
	check.NoError(t, err)
	signed, err := auditlogtest.Keys(t, pinned, nil).Open([]byte(note))
	check.NoError(t, err)
	checking, err := auditlog.NewCheck(signed.Checkpoint)
	check.NoError(t, err)
	err = log.Read(t.Context(), 0, signed.Size, func([]string) error { return nil }, func(leaves []ledger.Leaf) error {
		for _, l := range leaves {
			s := auditlog.Stored{Index: l.Index, Canonical: l.Canonical, Removed: l.Removed, Lost: l.Lost, Leaf: auditlog.LeafHash(l.Canonical)}
			if l.Hash != nil {
				s.Leaf = *l.Hash
			}
			checking.Add(s)
		}
		return nil
	})
	check.NoError(t, err)
	return signed, checking.Finish()
}

// R69: what a superuser cut from the end of a log of 600 events stops it. Reopened, it goes on
// under its next name over the same positions: the last checkpoint of before and the lost positions
// are named, and the whole of it verifies.
func TestALogThatWasCutIsReopened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cut      []string
		lost     string // positions
		findings int    // that stay
	}{
		"the last events":  {[]string{"delete from audit.events where position > 400"}, "[401-600]", 0},
		"and their tiles":  {[]string{"delete from audit.events where position > 400", "delete from audit.tiles where index > 0"}, "[401-600]", 0},
		"behind the tiles": {[]string{"delete from audit.events where position > 530"}, "[531-600]", 0},
		"one of the last":  {[]string{"delete from audit.events where position = 590"}, "[590-590]", 0},
		"some of the last": {[]string{"delete from audit.events where position in (500, 520, 590, 591)"}, "[500-500 520-520 590-591]", 0},
		"all events":       {[]string{"delete from audit.events"}, "[1-600]", 0},
		"an old one too":   {[]string{"delete from audit.events where position = 10 or position > 550"}, "[551-600]", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner, kept := stoppedByCut(t, c.cut)
			next, told, err := reopened(t, serving)
			check.NoError(t, err)
			if next.Origin != platform+"/audit/2" || next.Note != string(kept.Note) {
				t.Errorf("got %+v", next)
			}
			lost := auditlog.CountSpans(next.Lost)
			if got := spansOf(next.Lost); got != c.lost {
				t.Errorf("lost: %s, want %s", got, c.lost)
			}
			places := strings.NewReplacer("[", `["`, "]", `"]`, " ", `","`).Replace(c.lost)
			if e := told[len(told)-1]; e.Action != "audit.log_reopened" || change(e, "lost_positions") != places || change(e, "lost_events") != fmt.Sprint(lost) ||
				!strings.Contains(change(e, "checkpoint"), platform+`/audit/1\n600\n`) {
				t.Errorf("the event is %+v", e)
			}
			delivered(t, serving, told)
			for _, more := range []int64{3, 300} {
				if more > 3 {
					trailtest.Fill(t, postgres.NewEvents(serving), int(more))
				}
				check.NoError(t, sequencer(t, serving).Grow(t.Context()))
				signed, report := verified(t, serving, 2)
				if signed.Size != 601+min(more, 3)+more/300*300 || report.Lost != lost || report.Matched != signed.Size || len(report.Findings) != c.findings {
					t.Errorf("of %d leaves: %+v", signed.Size, report)
				}
			}
			if found, log, _ := passed(t, serving, owner); found.Differences != int64(c.findings) {
				t.Errorf("the pass: %+v\n%s", found, log)
			}
			provesNew(t, serving)
			if again, _, err := reopened(t, serving); err != nil || len(again.Lost) > 0 {
				t.Errorf("reopened again, %s are lost, %v", spansOf(again.Lost), err)
			}
		})
	}
}

// stoppedByCut is a log of 600 events that were signed, and 3 more after the superuser has cut
// some, which stops it; and what was signed.
func stoppedByCut(t *testing.T, cut []string) (serving, owner *pgxpool.Pool, kept auditlog.Signed) {
	t.Helper()
	serving, owner, _, _ = grown(t)
	kept = signedNow(t, ledger.NewService(postgres.NewLog(serving), logKeys(t, 1)))
	super := pgtest.Superuser(t, owner)
	for _, statement := range cut {
		_, err := super.Exec(t.Context(), statement)
		check.NoError(t, err)
	}
	trailtest.Fill(t, postgres.NewEvents(serving), 3)
	if err := sequencer(t, serving).Grow(t.Context()); !errors.Is(err, merkle.ErrDamaged) {
		t.Fatalf("it is not stopped: %v", err)
	}
	return serving, owner, kept
}

func spansOf(spans []auditlog.Span) string {
	var all []string
	for _, s := range spans {
		all = append(all, fmt.Sprintf("%d-%d", s.First, s.Last))
	}
	return fmt.Sprint(all)
}

func change(e event.Event, field string) string {
	for _, c := range e.Changes {
		if c.Field == field {
			return string(c.Value)
		}
	}
	return ""
}

// provesNew stores an event and proves it.
func provesNew(t *testing.T, serving *pgxpool.Pool) {
	t.Helper()
	stored := trailtest.Fill(t, postgres.NewEvents(serving), 1)[0]
	check.NoError(t, sequencer(t, serving).Grow(t.Context()))
	signed, _ := verified(t, serving, 2)
	p, err := ledger.NewService(postgres.NewLog(serving), logKeys(t, 1)).Event(t.Context(), stored.Event.ID, 0, "")
	check.NoError(t, err)
	if err := tlog.CheckRecord(p.Proof, p.Size, signed.Root, p.Position-1, auditlog.LeafHash(stored.Sealed.Canonical)); err != nil || p.Size != signed.Size {
		t.Errorf("the event at %d of %d: %v", p.Position, p.Size, err)
	}
}

// Where the tiles are those of other events than there are, no log can go on from them: who reopens
// it is told, and once the owner has cut them as the events were it works.
func TestALogWithTheTilesOfOthersIsNotReopened(t *testing.T) {
	t.Parallel()
	serving, owner, _, _ := grown(t)
	super := pgtest.Superuser(t, owner)
	cut := func(statement string) {
		t.Helper()
		_, err := super.Exec(t.Context(), statement)
		check.NoError(t, err)
	}
	cut("delete from audit.events where position > 300")
	cut("delete from audit.personal_values where position > 300")
	cut("delete from audit.checkpoints where size > 300")
	damaged := apierr.New(apierr.Unavailable, "LOG_DAMAGED", "")
	for _, more := range []int{0, 250} { // the tiles are beyond the end; and they have other events
		if more > 0 {
			trailtest.Fill(t, postgres.NewEvents(serving), more)
		}
		if _, _, err := reopened(t, serving); !errors.Is(err, damaged) {
			t.Errorf("with %d more events: %v", more, err)
		}
	}
	cut("delete from audit.tiles where (index + 1) << (8 * (level + 1)) > 300")
	next, _, err := reopened(t, serving)
	if err != nil || len(next.Lost) > 0 {
		t.Fatalf("%+v, %v", next, err)
	}
	check.NoError(t, sequencer(t, serving).Grow(t.Context()))
	if signed, report := verified(t, serving, 2); signed.Size != 550 || len(report.Findings) > 0 || report.Lost > 0 {
		t.Errorf("%+v", report)
	}
}

// What retention removed by right is not lost.
func TestWhatRetentionRemovedIsNotLost(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	var entries []trail.Entry
	for i := range 600 {
		days := 10
		if i%100 == 99 {
			days = 1
		}
		entries = append(entries, daysAgo(t, days, acme))
	}
	_, err := k.store.Append(t.Context(), entries)
	check.NoError(t, err)
	for _, class := range trail.Classes() {
		k.retain(t, "", class, 7)
	}
	if done := k.keep(t); done.Events < 590 {
		t.Fatalf("%+v", done)
	}
	next, told, err := reopened(t, k.owner)
	delivered(t, k.owner, told)
	if err != nil || len(next.Lost) > 0 {
		t.Fatalf("%s are lost, %v", spansOf(next.Lost), err)
	}
	_, err = k.store.Append(t.Context(), []trail.Entry{daysAgo(t, 1, acme)})
	check.NoError(t, err)
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	if signed, report := verified(t, k.owner, 2); len(report.Findings) > 0 || report.Lost > 0 || signed.Size < 600 {
		t.Errorf("%+v", report)
	}
	_, err = k.owner.Exec(t.Context(), "delete from audit.dropped_leaves where position = 580") // then no hash of it is left
	check.NoError(t, err)
	if next, told, err = reopened(t, k.owner); err != nil || spansOf(next.Lost) != "[580-580]" {
		t.Fatalf("%s are lost, %v", spansOf(next.Lost), err)
	}
	delivered(t, k.owner, told)
	check.NoError(t, sequencer(t, k.owner).Grow(t.Context()))
	if _, report := verified(t, k.owner, 3); len(report.Findings) > 0 {
		t.Errorf("%+v", report)
	}
}
