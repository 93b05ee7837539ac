package postgres_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/postgrestest"
)

// Who lost the trigger that fences writes is not ready, and a migration makes it again; one more
// changes nothing.
func TestReadyWithTheFenceOnly(t *testing.T) {
	t.Parallel()
	c := postgrestest.Database(t)
	pool := pgtest.Open(t, c)
	check.NoError(t, postgres.CheckFence(t.Context(), pool))
	for _, broken := range []string{
		`alter table authz_fga.tuple disable trigger fence`, `drop trigger fence on authz_fga.tuple`,
	} {
		_, err := pool.Exec(t.Context(), broken)
		check.NoError(t, err)
		if err := postgres.CheckFence(t.Context(), pool); !errors.Is(err, reason.RelationshipsNotFenced()) {
			t.Errorf("after %s: %v", broken, err)
		}
		var log bytes.Buffer
		for range 2 {
			check.NoError(t, postgres.MigrateFence(t.Context(), c, slog.New(slog.NewTextHandler(&log, nil))))
		}
		if n := strings.Count(log.String(), "the relationships are fenced"); n != 1 {
			t.Errorf("after %s the fence was made %d times:\n%s", broken, n, &log)
		}
		check.NoError(t, postgres.CheckFence(t.Context(), pool))
	}
}

// All instances seal cursors with one key. Without a database each question is an error, and never
// the end of what there is to tell.
func TestChangesWithoutADatabase(t *testing.T) {
	t.Parallel()
	pool, store := newLog(t)
	head, err := store.Now(t.Context())
	check.NoError(t, err)
	key, err := store.CursorKey(t.Context())
	check.NoError(t, err)
	again, err := store.CursorKey(t.Context())
	if err != nil || len(key) != 32 || !bytes.Equal(key, again) {
		t.Errorf("the key has %d bytes and is then %t the same, %v", len(key), bytes.Equal(key, again), err)
	}
	pool.Close()
	for what, ask := range map[string]func() error{
		"what there is now": func() error { _, err := store.Now(t.Context()); return err },
		"what has ended":    func() error { _, _, err := store.Ended(t.Context(), cursor.At(head), 10); return err },
		"the key":           func() error { _, err := store.CursorKey(t.Context()); return err },
		"the fence":         func() error { return postgres.CheckFence(t.Context(), pool) },
	} {
		if ask() == nil {
			t.Errorf("%s is answered without a database", what)
		}
	}
}
