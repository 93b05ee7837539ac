package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/internal/witness"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// R69: what the database's superuser does to 600 events, the first 300 of which were signed before,
// and what is found of it: with the leaves and the checkpoint that somebody kept, the place; with
// the platform's proofs alone, whether the log still begins as it did.
func TestTamperedBySuperuser(t *testing.T) {
	t.Parallel()
	const exchange = `update audit.events e set canonical = o.canonical from audit.events o where (e.position, o.position) in ((21, 31), (31, 21))`
	for name, c := range map[string]struct {
		tamper []string
		whole  string // the first finding, against the checkpoint of 600 that was kept outside
		inside string // the same, against the newest checkpoint in the database; empty when it cannot be known
	}{
		"an edit": {
			[]string{`update audit.events set canonical = replace(encode(canonical, 'escape'), 'user', 'abus')::bytea where position = 10`},
			"9 something", "9 something",
		},
		"a deletion": {[]string{`delete from audit.events where position = 11`}, "10 it is missing", "10 it is missing"},
		"a reorder":  {[]string{exchange}, "20 event", "20 event"},
		"an edit of the tree": {
			[]string{`update audit.tiles set hashes = overlay(hashes placing '\x0000'::bytea from 320) where level = 0 and index = 1`},
			"265 event", "265 event",
		},
		"a truncation": {[]string{`delete from audit.events where position > 400`}, "400 the log ends here", "400 the log ends here"},
		"an old backup": {
			[]string{
				`delete from audit.events where position > 300`, `delete from audit.tiles where index > 0`,
				`delete from audit.checkpoints where size > 300`,
			},
			"300 the log ends here", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			serving, owner := pools(t)
			events, s := postgres.NewEvents(serving), sequencer(t, serving)
			proofs := ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
			trailtest.Fill(t, events, 300)
			check.NoError(t, s.Grow(t.Context()))
			trailtest.Fill(t, events, 300)
			check.NoError(t, s.Grow(t.Context()))
			kept := signedNow(t, proofs)
			super := pgtest.Superuser(t, owner)
			if found := wholeLog(t, super, kept); found != "" {
				t.Fatalf("before: %s", found)
			}
			for _, statement := range c.tamper {
				_, err := super.Exec(t.Context(), statement)
				check.NoError(t, err)
			}
			if found := wholeLog(t, super, kept); !strings.HasPrefix(found, c.whole) {
				t.Errorf("against the kept checkpoint: %q, want %q", found, c.whole)
			}
			found := wholeLog(t, super, signedNow(t, proofs))
			if !strings.HasPrefix(found, c.inside) || c.inside == "" && found != "" {
				t.Errorf("against the database's own: %q, want %q", found, c.inside)
			}
		})
	}
}

// G7, R69, R70: a database that was restored from an older backup and went on is consistent in
// itself; only a checkpoint outside of it, kept in a file or by a witness, shows that it has
// another history now.
func TestRewoundLogIsFoundFromOutside(t *testing.T) {
	t.Parallel()
	serving, owner := pools(t)
	events, proofs := postgres.NewEvents(serving), ledger.NewService(postgres.NewLog(serving), logKeys(t, 1))
	asked := watching(t)
	grown := func(n int) auditlog.Signed {
		trailtest.Fill(t, events, n)
		check.NoError(t, sequencer(t, serving).Grow(t.Context()))
		return signedNow(t, proofs)
	}
	first := grown(300)
	check.NoError(t, asked(first, proofs))
	second := grown(300)
	check.NoError(t, asked(second, proofs))
	check.NoError(t, follows(t, proofs, first, second))
	super := pgtest.Superuser(t, owner)
	for _, statement := range []string{
		`delete from audit.events where position > 300`, `delete from audit.personal_values where position > 300`,
		`delete from audit.tiles where index > 0`, `delete from audit.checkpoints where size > 300`,
	} {
		_, err := super.Exec(t.Context(), statement)
		check.NoError(t, err)
	}
	var conflict *witness.ConflictError
	if err := asked(signedNow(t, proofs), proofs); !errors.As(err, &conflict) || conflict.Size != 600 {
		t.Errorf("the witness of a rewound log: %v", err)
	}
	for _, n := range []int{300, 100} { // as many events as there were, and more
		now := grown(n)
		if found := wholeLog(t, super, now); found != "" {
			t.Errorf("in itself: %s", found)
		}
		if err := follows(t, proofs, first, now); err != nil {
			t.Errorf("of what was kept before the backup: %v", err)
		}
		if err := follows(t, proofs, second, now); err == nil {
			t.Errorf("the log of %d events begins with the 600 that were rewound", now.Size)
		}
		conflict = nil
		if err := asked(now, proofs); !errors.As(err, &conflict) || conflict.Size != 0 {
			t.Errorf("the witness cosigns another history of %d events: %v", now.Size, err)
		}
	}
}

// signedNow is the newest checkpoint, verified by the pinned key.
func signedNow(t testing.TB, proofs *ledger.Service) auditlog.Signed {
	t.Helper()
	note, _, err := proofs.Checkpoint(t.Context())
	check.NoError(t, err)
	signed, err := auditlogtest.Keys(t, []string{verifierKey(t)}, nil).Open([]byte(note))
	check.NoError(t, err)
	return signed
}

// follows is how a client learns that the log begins with a checkpoint that it kept.
func follows(t testing.TB, proofs *ledger.Service, kept, now auditlog.Signed) error {
	t.Helper()
	proof, _, err := proofs.Consistency(t.Context(), kept.Size, now.Size)
	check.NoError(t, err)
	return auditlog.VerifyConsistency(kept.Size, now.Size, kept.Root, now.Root, proof)
}

// watching is a witness of the log, in a folder of its own, and how Audit asks it.
func watching(t *testing.T) func(auditlog.Signed, *ledger.Service) error {
	t.Helper()
	folder := t.TempDir()
	key, err := witness.NewKey(rand.Reader, folder, "witness.example.org")
	check.NoError(t, err)
	w, err := witness.Open(folder, []string{verifierKey(t)}, slog.New(slog.DiscardHandler))
	check.NoError(t, err)
	server := httptest.NewServer(w.Handler())
	client, err := witness.NewClient(server.URL, key)
	check.NoError(t, err)
	t.Cleanup(func() {
		client.Close()
		server.Close()
		_ = w.Close()
	})
	return func(s auditlog.Signed, proofs *ledger.Service) error {
		_, err := client.Cosign(t.Context(), s.Note, func(ctx context.Context, from int64) ([]auditlog.Hash, error) {
			proof, _, err := proofs.Consistency(ctx, from, s.Size)
			return proof, err
		})
		return err
	}
}

// wholeLog reads every row as the superuser and returns the first thing that is not as it was
// signed.
func wholeLog(t testing.TB, db *pgx.Conn, signed auditlog.Signed) string {
	t.Helper()
	checking, err := auditlog.NewCheck(signed.Checkpoint)
	check.NoError(t, err)
	rows, err := db.Query(t.Context(), `select e.position - 1, e.canonical, substring(t.hashes from ((e.position - 1) % 256)::int * 32 + 1 for 32)
		from audit.events e left join audit.tiles t on t.level = 0 and t.index = (e.position - 1) / 256 order by e.position`)
	check.NoError(t, err)
	var s auditlog.Stored
	var leaf []byte
	_, err = pgx.ForEachRow(rows, []any{&s.Index, &s.Canonical, &leaf}, func() error {
		if s.Leaf = auditlog.LeafHash(s.Canonical); leaf != nil {
			copy(s.Leaf[:], leaf)
		}
		checking.Add(s)
		return nil
	})
	check.NoError(t, err)
	if r := checking.Finish(); len(r.Findings) > 0 {
		return fmt.Sprintf("%d %s", r.Findings[0].Index, r.Findings[0].Text)
	}
	return ""
}
