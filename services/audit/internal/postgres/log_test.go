package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

const (
	platform = "id.example.com"
	origin   = platform + "/audit/1"
)

func logKeys(t testing.TB, seeds ...byte) ledger.Keys {
	t.Helper()
	var raw [2][]byte
	for i, seed := range seeds {
		raw[i] = bytes.Repeat([]byte{seed}, ledger.SeedLength)
	}
	keys, err := ledger.NewKeys(raw[0], raw[1])
	check.NoError(t, err)
	return keys
}

func sequencer(t testing.TB, pool *pgxpool.Pool) *ledger.Sequencer {
	t.Helper()
	return ledger.NewSequencer(postgres.NewLog(pool), logKeys(t, 1), platform)
}

// opened returns the tree of a checkpoint, which must have the signature of the verifier key.
func opened(t testing.TB, signed, verifier string) tlog.Tree {
	t.Helper()
	v, err := note.NewVerifier(verifier)
	check.NoError(t, err)
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	check.NoError(t, err)
	var tree tlog.Tree
	var root string
	if _, err := fmt.Sscanf(n.Text, origin+"\n%d\n%s\n", &tree.N, &root); err != nil {
		t.Fatalf("the checkpoint is %q: %v", n.Text, err)
	}
	tree.Hash, err = tlog.ParseHash(root)
	check.NoError(t, err)
	return tree
}

// newest returns the tree of the newest checkpoint as clients see it.
func newest(t testing.TB, s *ledger.Service) tlog.Tree {
	t.Helper()
	signed, verifiers, err := s.Checkpoint(t.Context())
	check.NoError(t, err)
	return opened(t, signed, verifiers[0])
}

// Every event that is stored has a proof that tlog's own checks take, and each checkpoint is the
// beginning of the next.
func TestLogProvesEveryEvent(t *testing.T) {
	t.Parallel()
	serving, _ := pools(t)
	events, s := postgres.NewEvents(serving), sequencer(t, serving)
	proofs := ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
	if _, _, err := proofs.Checkpoint(t.Context()); !errors.Is(err, apierr.New(apierr.Unavailable, "CHECKPOINT_NOT_YET", "")) {
		t.Errorf("before the first: %v", err)
	}
	var before tlog.Tree
	stored := map[string][]byte{}
	var ids []string
	for _, n := range []int{1, 1, 253, 1, 1, 300} {
		for _, e := range trailtest.Fill(t, events, n) {
			ids, stored[e.Event.ID] = append(ids, e.Event.ID), e.Sealed.Canonical
		}
		check.NoError(t, s.Grow(t.Context()))
		now := newest(t, proofs)
		if now.N != int64(len(ids)) || s.Size() != before.N && s.Size() != now.N || s.Lag() != 0 {
			t.Fatalf("a checkpoint of %d after %d events, size %d, lag %d", now.N, len(ids), s.Size(), s.Lag())
		}
		if before.N > 0 {
			consistency, size, err := proofs.Consistency(t.Context(), before.N, 0)
			check.NoError(t, err)
			if err := tlog.CheckTree(consistency, size, now.Hash, before.N, before.Hash); err != nil {
				t.Errorf("from %d to %d: %v", before.N, now.N, err)
			}
		}
		before = now
	}
	for i, id := range ids {
		p, err := proofs.Event(t.Context(), id, 0, "")
		check.NoError(t, err)
		if p.Position != int64(i)+1 || !bytes.Equal(p.Canonical, stored[id]) || opened(t, p.Note, verifierKey(t)) != before {
			t.Fatalf("event %d is at %d", i, p.Position)
		}
		if err := tlog.CheckRecord(p.Proof, p.Size, before.Hash, p.Position-1, tlog.RecordHash(p.Canonical)); err != nil {
			t.Errorf("event %d: %v", i, err)
		}
	}
}

func verifierKey(t testing.TB) string {
	t.Helper()
	keys, err := logKeys(t, 1).Verifiers(origin)
	check.NoError(t, err)
	return keys[0]
}

// What cannot be proven is refused with its reason: sizes to come, and events of other
// organizations.
func TestLogRefusesWhatItCannotProve(t *testing.T) {
	t.Parallel()
	serving, _ := pools(t)
	events, s := postgres.NewEvents(serving), sequencer(t, serving)
	proofs := ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
	entries := trailtest.Fill(t, events, 5)
	check.NoError(t, s.Grow(t.Context()))
	late := trailtest.Fill(t, events, 1)[0].Event.ID
	event := func(id string, size int64, organization string) error {
		_, err := proofs.Event(t.Context(), id, size, organization)
		return err
	}
	consistency := func(first, second int64) error {
		_, _, err := proofs.Consistency(t.Context(), first, second)
		return err
	}
	id, organization := entries[3].Event.ID, entries[3].Event.OrganizationID
	for name, c := range map[string]struct {
		got    error
		kind   apierr.Kind
		reason string
	}{
		"no such event":              {event(uuid.NewString(), 0, ""), apierr.NotFound, "EVENT_NOT_FOUND"},
		"of another organization":    {event(id, 0, uuid.NewString()), apierr.NotFound, "EVENT_NOT_FOUND"},
		"just stored":                {event(late, 0, ""), apierr.FailedPrecondition, "EVENT_NOT_COVERED"},
		"in a tree before it":        {event(id, 3, ""), apierr.FailedPrecondition, "EVENT_NOT_COVERED"},
		"in a tree to come":          {event(id, 6, ""), apierr.FailedPrecondition, "SIZE_NOT_YET"},
		"consistency with the later": {consistency(2, 6), apierr.FailedPrecondition, "SIZE_NOT_YET"},
		"consistency of the later":   {consistency(6, 0), apierr.FailedPrecondition, "SIZE_NOT_YET"},
		"consistency backwards":      {consistency(3, 2), apierr.InvalidArgument, "SIZES_REVERSED"},
	} {
		if !errors.Is(c.got, apierr.New(c.kind, c.reason, "")) {
			t.Errorf("%s: %v, want %s", name, c.got, c.reason)
		}
	}
	for name, err := range map[string]error{
		"of its organization": event(id, 0, organization), "in an earlier tree": event(id, 4, ""), "from nothing": consistency(0, 0), "of itself": consistency(5, 5),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p, err := proofs.Event(t.Context(), id, 4, ""); err != nil || p.Note != "" || p.Size != 4 {
		t.Errorf("a size that was not signed: %q, %v", p.Note, err)
	}
}

// Events of before there was a log are brought in by batches, each durable with its checkpoint; who
// was ended between two goes on where the checkpoint says.
func TestLogTakesInWhatWasStoredBefore(t *testing.T) {
	t.Parallel()
	const n = 2*ledger.Batch + 700
	serving, owner := pgtest.Split(t, migrations.Schema, pgtest.Before(t, migrations.Files, "016_create_log.sql"))
	pool := pgtest.Open(t, serving)
	check.NoError(t, fill(t.Context(), pool, n, 100))
	check.NoError(t, pg.Migrate(t.Context(), owner, migrations.Schema, migrations.Files, slog.New(slog.DiscardHandler)))
	first := ledger.NewSequencer(&limited{Store: postgres.NewLog(pool), turns: 1}, logKeys(t, 1), platform)
	if err := first.Grow(t.Context()); !errors.Is(err, errEnded) {
		t.Fatalf("got %v", err)
	}
	proofs := ledger.NewService(postgres.NewLog(pool), logKeys(t, 1))
	if got := newest(t, proofs).N; got != ledger.Batch {
		t.Fatalf("a checkpoint of %d, want one of %d", got, ledger.Batch)
	}
	check.NoError(t, sequencer(t, pool).Grow(t.Context()))
	if got := newest(t, proofs).N; got != n {
		t.Fatalf("a checkpoint of %d, want one of %d", got, n)
	}
	rows, err := pool.Query(t.Context(), "select canonical from audit.events order by position")
	check.NoError(t, err)
	defer rows.Close()
	whole, err := merkle.NewEdge(0, nil)
	check.NoError(t, err)
	for rows.Next() {
		var canonical []byte
		check.NoError(t, rows.Scan(&canonical))
		whole.Append(tlog.RecordHash(canonical))
	}
	check.NoError(t, rows.Err())
	if root, err := whole.Root(); err != nil || root != newest(t, proofs).Hash {
		t.Errorf("the root is not that of the events: %v", err)
	}
}

var errEnded = errors.New("the program was ended")

// limited lets only so many turns happen.
type limited struct {
	ledger.Store
	turns int
}

func (l *limited) Grow(ctx context.Context, fn func(ledger.Turn) error) error {
	if l.turns--; l.turns < 0 {
		return errEnded
	}
	return l.Store.Grow(ctx, fn)
}

// While a key is replaced both sign: who has pinned either can verify.
func TestTwoKeysSign(t *testing.T) {
	t.Parallel()
	serving, _ := pools(t)
	trailtest.Fill(t, postgres.NewEvents(serving), 2)
	both := logKeys(t, 2, 1)
	check.NoError(t, ledger.NewSequencer(postgres.NewLog(serving), both, platform).Grow(t.Context()))
	signed, verifiers, err := ledger.NewService(postgres.NewLog(serving), both).Checkpoint(t.Context())
	check.NoError(t, err)
	if len(verifiers) != 2 || verifiers[1] != verifierKey(t) || verifiers[0] == verifiers[1] {
		t.Fatalf("verifier keys are %v", verifiers)
	}
	for _, v := range verifiers {
		if tree := opened(t, signed, v); tree.N != 2 {
			t.Errorf("%s: a tree of %d", v, tree.N)
		}
	}
	for name, seeds := range map[string][]byte{"twice the same": {1, 1}} {
		if _, err := ledger.NewKeys(bytes.Repeat(seeds[:1], 32), bytes.Repeat(seeds[1:], 32)); err == nil || strings.Contains(err.Error(), "\x01") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ledger.NewKeys(make([]byte, 31), nil); err == nil {
		t.Error("a key of 31 bytes is taken")
	}
}
