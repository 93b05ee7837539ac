package postgres_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// Whatever a turn was doing when its session was lost: nothing of it is there, and another instance
// goes on at once.
func TestALostSessionLosesItsTurn(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"State", "Open", "Tiles", "Leaves", "Add", "after Add"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			serving, _ := pools(t)
			events, proofs := postgres.NewEvents(serving), ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
			size := int64(0)
			if at != "Open" { // which happens once
				trailtest.Fill(t, events, 300)
				check.NoError(t, sequencer(t, serving).Grow(t.Context()))
				size = 300
			}
			trailtest.Fill(t, events, 300)
			failing := ledger.NewSequencer(&lossy{Log: postgres.NewLog(serving), pool: serving, at: at}, logKeys(t, 1), platform)
			if err := failing.Grow(t.Context()); err == nil {
				t.Fatal("a turn without its session succeeds")
			}
			if size > 0 {
				if got := newest(t, proofs).N; got != size {
					t.Errorf("a checkpoint of %d is left, want %d", got, size)
				}
			}
			var tiles int64
			check.NoError(t, serving.QueryRow(t.Context(), "select count(*) from audit.tiles").Scan(&tiles))
			if tiles != size/merkle.Width {
				t.Errorf("%d tiles are left", tiles)
			}
			check.NoError(t, sequencer(t, serving).Grow(t.Context()))
			check.NoError(t, failing.Grow(t.Context()))
			if got := newest(t, proofs).N; got != size+300 {
				t.Errorf("a checkpoint of %d, want %d", got, size+300)
			}
		})
	}
}

// lossy loses the session of the first turn at one of its calls.
type lossy struct {
	*postgres.Log
	pool *pgxpool.Pool
	at   string
}

func (l *lossy) Grow(ctx context.Context, fn func(ledger.Turn) error) error {
	return l.Log.Grow(ctx, func(t ledger.Turn) error {
		err := fn(lossyTurn{t, l})
		l.lose(ctx, "after Add")
		return err
	})
}

// lose ends every other session of the role, once.
func (l *lossy) lose(ctx context.Context, at string) {
	if at != l.at {
		return
	}
	l.at = ""
	_, _ = l.pool.Exec(ctx, `select pg_terminate_backend(pid, 5000) from pg_stat_activity
		where datname = current_database() and usename = current_user and pid <> pg_backend_pid()`)
}

type lossyTurn struct {
	ledger.Turn
	l *lossy
}

func (t lossyTurn) State(ctx context.Context) (ledger.State, error) {
	t.l.lose(ctx, "State")
	return t.Turn.State(ctx)
}

func (t lossyTurn) Open(ctx context.Context, number int, origin string) error {
	t.l.lose(ctx, "Open")
	return t.Turn.Open(ctx, number, origin)
}

func (t lossyTurn) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	t.l.lose(ctx, "Tiles")
	return t.Turn.Tiles(ctx, tiles)
}

func (t lossyTurn) Leaves(ctx context.Context, from int64, limit int) ([]tlog.Hash, error) {
	t.l.lose(ctx, "Leaves")
	return t.Turn.Leaves(ctx, from, limit)
}

func (t lossyTurn) Add(ctx context.Context, number int, tiles []merkle.Tile, c ledger.Checkpoint) error {
	t.l.lose(ctx, "Add")
	return t.Turn.Add(ctx, number, tiles, c)
}

// Instances that grow the log at once, while events are stored and sessions are ended: each
// checkpoint that was ever seen is the beginning of the last, and in the end all events are
// covered.
func TestInstancesTakeTheLogOver(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	ctx, cancel := context.WithCancel(t.Context())
	var growers sync.WaitGroup
	for range 3 {
		s := sequencer(t, serving)
		growers.Go(func() {
			for ctx.Err() == nil {
				_ = s.Grow(ctx) // its session may be ended
			}
		})
	}
	seen := map[int64]tlog.Hash{}
	events, store := postgres.NewEvents(serving), postgres.NewLog(owner) // these sessions are spared
	for n := range 60 {
		trailtest.Fill(t, postgres.NewEvents(owner), 37)
		if n%5 == 0 {
			_, _ = serving.Exec(ctx, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = current_user and pid <> pg_backend_pid()")
		}
		state, err := store.State(ctx)
		check.NoError(t, err)
		if state.Last.Tree.N > 0 {
			seen[state.Last.Tree.N] = state.Last.Tree.Hash
		}
	}
	cancel()
	growers.Wait()
	final := sequencer(t, owner)
	check.Eventually(t, "all events are covered", func() bool { // a session that was left may still hold the lock
		check.NoError(t, final.Grow(t.Context()))
		return final.Size() == 60*37
	})
	proofs := ledger.NewService(postgres.NewLog(owner), logKeys(t, 1))
	last := newest(t, proofs)
	if head, err := events.Head(t.Context()); err != nil || last.N != head || head != 60*37 {
		t.Fatalf("a checkpoint of %d for %d events, %v", last.N, head, err)
	}
	for size, root := range seen {
		proof, _, err := proofs.Consistency(t.Context(), size, 0)
		check.NoError(t, err)
		if err := tlog.CheckTree(proof, last.N, last.Hash, size, root); err != nil {
			t.Errorf("the checkpoint of %d: %v", size, err)
		}
	}
}

// While one instance holds the lock the others have nothing to do, and one that is stopped there
// loses it.
func TestOneInstanceGrowsTheLog(t *testing.T) {
	t.Parallel()
	serving, _ := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 3)
	log, other := postgres.NewLog(serving), sequencer(t, serving)
	err := log.Grow(t.Context(), func(ledger.Turn) error {
		if err := log.Grow(t.Context(), func(ledger.Turn) error { return nil }); !errors.Is(err, ledger.ErrBusy) {
			t.Errorf("a second one: %v", err)
		}
		check.NoError(t, other.Grow(t.Context()))
		for other.Size() == 0 { // until the server has ended this session, after 3 s
			check.NoError(t, other.Grow(t.Context()))
		}
		return nil
	})
	if err == nil {
		t.Error("the stopped one has committed")
	}
}

// Nothing is signed over what is not there any more as it was signed, and no proof is given: an
// edit of the last events, of old ones, of tiles, and a removal are found. Which event is taken for
// the next one is not decided by who removed the last.
func TestDamagedLogs(t *testing.T) {
	t.Parallel()
	damaged := apierr.New(apierr.Unavailable, "LOG_DAMAGED", "")
	for name, c := range map[string]struct {
		damage string
		stops  bool // the log is not signed any more
		proofs bool // the proof of the event at position 10 is refused
	}{
		"an old event":           {"update audit.events set canonical = replace(encode(canonical, 'escape'), 'user', 'abus')::bytea where position = 10", false, true},
		"a recent event":         {"update audit.events set canonical = replace(encode(canonical, 'escape'), 'user', 'abus')::bytea where position = 290", true, true},
		"a tile":                 {"update audit.tiles set hashes = overlay(hashes placing '\\x00'::bytea from 320)", false, true},
		"a root":                 {"update audit.tiles set root = overlay(root placing '\\x0000'::bytea from 3)", true, true},
		"a recent event is gone": {"delete from audit.events where position = 290", true, true},
		"an old event is gone":   {"delete from audit.events where position = 11", false, false},
		"the last ones are gone": {"delete from audit.events where position > 280", true, true},
		"a checkpoint is gone":   {"delete from audit.checkpoints where size > 200", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner := pools(t)
			events, s := postgres.NewEvents(serving), sequencer(t, serving)
			entries := trailtest.Fill(t, events, 200)
			check.NoError(t, s.Grow(t.Context()))
			trailtest.Fill(t, events, 100)
			check.NoError(t, s.Grow(t.Context()))
			_, err := owner.Exec(t.Context(), c.damage)
			check.NoError(t, err)
			proofs := ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
			_, err = proofs.Event(t.Context(), entries[9].Event.ID, 0, "")
			if errors.Is(err, damaged) != c.proofs || !c.proofs && err != nil {
				t.Errorf("proof: %v", err)
			}
			trailtest.Fill(t, events, 1)
			var next int64
			check.NoError(t, serving.QueryRow(t.Context(), "select max(position) from audit.events").Scan(&next))
			if next != 301 {
				t.Errorf("the next event is at %d", next)
			}
			err = sequencer(t, serving).Grow(t.Context())
			if errors.Is(err, merkle.ErrDamaged) != c.stops || !c.stops && err != nil {
				t.Errorf("grow: %v", err)
			}
		})
	}
}

// R72: what was signed, and what it was signed over, cannot be changed by the role that serves.
func TestTheServingRoleCannotChangeTheLog(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 300)
	check.NoError(t, sequencer(t, serving).Grow(t.Context()))
	for _, table := range []string{"tiles", "origins", "checkpoints", "dropped_leaves", "removed_events", "lost_events"} {
		statements := []string{"select * from audit.%s for update", "delete from audit.%s", "truncate audit.%s", "alter table audit.%s disable trigger all"}
		if table == "dropped_leaves" {
			statements = append(statements, "insert into audit.%s values (1, sha256(''))")
		}
		if table == "removed_events" {
			statements = append(statements, "insert into audit.%s values (1, 1::bit(256))")
		}
		for _, statement := range statements {
			_, err := serving.Exec(t.Context(), strings.ReplaceAll(statement, "%s", table))
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.Code != "42501" {
				t.Errorf("%s of %s: %v", statement, table, err)
			}
		}
	}
	for _, mistake := range []string{"grant update on audit.tiles to audit", "grant delete on audit.checkpoints to audit"} {
		_, err := owner.Exec(t.Context(), mistake)
		check.NoError(t, err)
		if err := postgres.CheckAppendOnly(t.Context(), serving); err == nil {
			t.Errorf("%s, and the program is ready", mistake)
		}
		_, err = owner.Exec(t.Context(), strings.NewReplacer("grant", "revoke", " to ", " from ").Replace(mistake))
		check.NoError(t, err)
	}
}

// A turn that is refused another lock than the log's after it has grown the edge has failed, and
// says so: only the log's own says that another instance is at it. The next one begins anew, and
// leaves no tile out.
func TestATurnThatIsRefusedALockBeginsAnew(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 300)
	s := sequencer(t, serving)
	tx, err := owner.Begin(t.Context())
	check.NoError(t, err)
	_, err = tx.Exec(t.Context(), "lock table audit.checkpoints in exclusive mode")
	check.NoError(t, err)
	if err := s.Grow(t.Context()); err == nil || errors.Is(err, ledger.ErrBusy) {
		t.Errorf("refused: %v", err)
	}
	check.NoError(t, tx.Rollback(t.Context()))
	check.NoError(t, s.Grow(t.Context()))
	proofs := ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
	if got := newest(t, proofs).N; got != 300 {
		t.Errorf("a checkpoint of %d, want 300", got)
	}
	_, _, err = proofs.Consistency(t.Context(), 100, 300)
	check.NoError(t, err)
}
