package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// rewind makes the database what it was when the checkpoint of that size was signed, as a restored
// backup is.
func rewind(t *testing.T, owner *pgxpool.Pool, size int64) {
	t.Helper()
	for _, sql := range []string{
		"delete from audit.cosignatures where size > %d", "delete from audit.checkpoints where size > %d", "delete from audit.events where position > %d",
		"delete from audit.personal_values where position > %d",
		"delete from audit.tiles where (index + 1) * 256 ^ (level + 1) > %d",
	} {
		_, err := owner.Exec(t.Context(), fmt.Sprintf(sql, size))
		check.NoError(t, err)
	}
}

// grown is a log of two checkpoints, of 300 and of 600 events, and the instance that has grown it.
func grown(t *testing.T) (serving, owner *pgxpool.Pool, s *ledger.Sequencer, last ledger.Known) {
	t.Helper()
	serving, owner = pools(t)
	s = sequencer(t, serving)
	for range 2 {
		trailtest.Fill(t, postgres.NewEvents(serving), 300)
		check.NoError(t, s.Grow(t.Context()))
	}
	state, err := postgres.NewLog(serving).State(t.Context())
	check.NoError(t, err)
	last, err = logKeys(t, 1).Known([]byte(state.Last.Note))
	check.NoError(t, err)
	return serving, owner, s, last
}

// An instance that lives through a restore stops the log, for all instances and for good; events
// are stored on.
func TestALivingInstanceFindsARewind(t *testing.T) {
	t.Parallel()
	serving, owner, s, last := grown(t)
	rewind(t, owner, 300)
	if err := s.Grow(t.Context()); !errors.Is(err, ledger.ErrHalted) || !strings.Contains(err.Error(), "a checkpoint of 300 events, and one of 600 is known") || !s.Stopped() {
		t.Fatalf("got %v, stopped %v", err, s.Stopped())
	}
	trailtest.Fill(t, postgres.NewEvents(serving), 400)
	for name, other := range map[string]*ledger.Sequencer{"the same": s, "a new one": sequencer(t, serving)} {
		if err := other.Grow(t.Context()); !errors.Is(err, ledger.ErrHalted) || !other.Stopped() {
			t.Errorf("%s: %v", name, err)
		}
	}
	state, err := postgres.NewLog(serving).State(t.Context())
	if err != nil || state.Last.Tree.N != 300 || state.Head != 700 || state.Halt.Note != last.Note {
		t.Errorf("a checkpoint of %d for %d events, %+v, %v", state.Last.Tree.N, state.Head, state.Halt, err)
	}
}

// The operator's checkpoint is what a program that has just started knows; without one it cannot
// know.
func TestAKnownCheckpointFindsARewind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size  int64                                // that the database is rewound to
		more  int                                  // events that are stored then
		known func(last ledger.Known) ledger.Known // what the operator has
		want  string                               // in the error; "" when the log goes on
	}{
		"nothing known":            {300, 400, func(ledger.Known) ledger.Known { return ledger.Known{} }, ""},
		"the same log":             {600, 1, func(k ledger.Known) ledger.Known { return k }, ""},
		"an older one":             {300, 0, func(k ledger.Known) ledger.Known { return k }, "a checkpoint of 300 events, and one of 600 is known"},
		"an empty database":        {0, 5, func(k ledger.Known) ledger.Known { return k }, "a checkpoint of 0 events, and one of 600 is known"},
		"another past":             {600, 1, func(k ledger.Known) ledger.Known { k.Tree = tlog.Tree{N: 500, Hash: k.Tree.Hash}; return k }, "the first 500 events of the log are not those"},
		"another past of the size": {600, 0, func(k ledger.Known) ledger.Known { k.Tree.Hash[0] ^= 1; return k }, "the first 600 events of the log are not those"},
		"before it was reopened":   {600, 0, func(k ledger.Known) ledger.Known { k.Origin = platform + "/audit/2"; return k }, "the log is id.example.com/audit/1, and a checkpoint of id.example.com/audit/2 is known"},
		"of another log":           {600, 0, func(k ledger.Known) ledger.Known { k.Origin = "elsewhere/audit/1"; return k }, "name one of this log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner, _, last := grown(t)
			rewind(t, owner, c.size)
			if c.more > 0 {
				trailtest.Fill(t, postgres.NewEvents(serving), c.more)
			}
			if c.size == 0 {
				_, err := owner.Exec(t.Context(), "delete from audit.origins")
				check.NoError(t, err)
			}
			s := sequencer(t, serving)
			s.Remember(c.known(last))
			err := s.Grow(t.Context())
			if c.want == "" {
				check.NoError(t, err)
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if state, err := postgres.NewLog(serving).State(t.Context()); err != nil || state.Last.Tree.N > c.size {
				t.Errorf("it has signed on, %d: %v", state.Last.Tree.N, err)
			}
		})
	}
	for _, text := range []string{"", "x", platform + "/audit/1\n3\nAAAA\n\n", platform + "/audit/1\n3\n"} {
		if _, err := logKeys(t, 1).Known([]byte(text)); err == nil {
			t.Errorf("%q is taken for a checkpoint", text)
		}
	}
}

// An instance that another one has overtaken looks whether that went on from what it knows.
func TestInstancesCompareWhatOthersSign(t *testing.T) {
	t.Parallel()
	serving, owner, s, _ := grown(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 300)
	check.NoError(t, sequencer(t, serving).Grow(t.Context()))
	check.NoError(t, s.Grow(t.Context()))
	rewind(t, owner, 300)
	trailtest.Fill(t, postgres.NewEvents(serving), 700)
	check.NoError(t, sequencer(t, serving).Grow(t.Context())) // a program that knows nothing has begun another past
	if err := s.Grow(t.Context()); !errors.Is(err, ledger.ErrHalted) || !strings.Contains(err.Error(), "the first 900 events of the log are not those") {
		t.Errorf("got %v", err)
	}
}

// Who cuts off events and leaves their personal values keeps nobody from storing: their positions
// are not given again.
func TestPositionsOfPersonalValuesAreNotGivenAgain(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	events := postgres.NewEvents(serving)
	trailtest.Fill(t, events, 5)
	_, err := owner.Exec(t.Context(), "delete from audit.events where position > 3")
	check.NoError(t, err)
	trailtest.Fill(t, events, 2)
	head, err := events.Head(t.Context())
	check.NoError(t, err)
	if head != 7 {
		t.Errorf("the last position is %d, want 7", head)
	}
}
