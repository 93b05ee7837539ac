package postgres_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
)

// newLog is a command log with room for all its writers.
func newLog(t *testing.T) (*pgxpool.Pool, *postgres.Commands) {
	t.Helper()
	c := pgtest.Config(t, migrations.Schema, migrations.Files)
	c.MaxConns = 30
	pool := pgtest.Open(t, c)
	return pool, postgres.NewCommands(postgres.Params{Pool: pool, Outbox: outboxtest.New(t, pool, migrations.Schema), Lease: time.Second})
}

const (
	acceptOne = `insert into authz.commands (id, state, fingerprint, writes, deletes, event_id, event_key, event, claim, claim_until, accept_time)
		values ($1::uuid, 'accepted', 'x', array['group:' || $1::text || '#member@user:u'], '{}', gen_random_uuid(), 'k', 'x', 0, now() + interval '1 hour', now())`
	endOne = `update authz.commands set state = 'applied', end_time = now(), event = null where id = $1`
)

// endMany ends n commands in up to three transactions at a time, which end in any order, some by a
// rollback, and returns those that have ended.
func endMany(ctx context.Context, pool *pgxpool.Pool, n int) (ended map[string]bool, err error) {
	type work struct {
		tx pgx.Tx
		id string
	}
	var open []work
	ended = map[string]bool{}
	finish := func(i int) error {
		w := open[i]
		open = append(open[:i], open[i+1:]...)
		if rand.IntN(4) == 0 {
			return w.tx.Rollback(ctx)
		}
		ended["group:"+w.id] = true
		return w.tx.Commit(ctx)
	}
	for range n {
		if len(open) == 3 {
			if err := finish(rand.IntN(3)); err != nil {
				return nil, err
			}
		}
		id := uuid.NewString()
		if _, err := pool.Exec(ctx, acceptOne, id); err != nil {
			return nil, err
		}
		tx, err := pool.Begin(ctx)
		if err != nil {
			return nil, err
		}
		open = append(open, work{tx, id})
		if _, err := tx.Exec(ctx, endOne, id); err != nil {
			return nil, err
		}
	}
	for len(open) > 0 {
		if err := finish(0); err != nil {
			return nil, err
		}
	}
	return ended, nil
}

// Whatever commits late or never, and wherever a follower breaks off: each command that has ended
// is told, once.
func TestEndedCommandsAreToldOnce(t *testing.T) {
	t.Parallel()
	pool, store := newLog(t)
	head, err := store.Now(t.Context())
	check.NoError(t, err)
	c, told, breaks := cursor.At(head), map[string]int{}, 0
	read := func(mayBreak bool) (more bool) {
		const limit = 7
		rows, head, err := store.Ended(t.Context(), c, limit)
		check.NoError(t, err)
		news, next, more, err := cursor.Advance(c, head, rows, limit)
		check.NoError(t, err)
		if mayBreak && len(news) > 1 {
			kept := rand.IntN(len(news)-1) + 1
			breaks++
			news, next, more = news[:kept], news[kept-1].After, true
		}
		for _, one := range news {
			told[one.Value.Tuples[0].Object]++
		}
		c = next
		return more
	}
	var writers sync.WaitGroup
	var mu sync.Mutex
	ended, done := map[string]bool{}, make(chan struct{})
	for range 6 {
		writers.Go(func() {
			mine, err := endMany(t.Context(), pool, 100)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for id := range mine {
				ended[id] = true
			}
		})
	}
	go func() {
		writers.Wait()
		close(done)
	}()
	for running := true; running; {
		read(true)
		select {
		case <-done:
			running = false
		default:
		}
	}
	for read(false) {
	}
	for id := range ended {
		if told[id] != 1 {
			t.Errorf("%s is told %d times", id, told[id])
		}
	}
	if len(told) != len(ended) || breaks == 0 || len(ended) < 100 {
		t.Errorf("%d are told of %d, with %d breaks", len(told), len(ended), breaks)
	}
}

// A command is not told before it has ended, and those of before the migration are told to nobody.
func TestOpenCommandsAreNotTold(t *testing.T) {
	t.Parallel()
	pool, store := newLog(t)
	head, err := store.Now(t.Context())
	check.NoError(t, err)
	id, old := uuid.NewString(), uuid.NewString()
	for _, id := range []string{id, old} {
		_, err = pool.Exec(t.Context(), acceptOne, id)
		check.NoError(t, err)
	}
	_, err = pool.Exec(t.Context(), `alter table authz.commands disable trigger commands_over`)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), endOne, old)
	check.NoError(t, err)
	_, err = pool.Exec(t.Context(), `alter table authz.commands enable trigger commands_over`)
	check.NoError(t, err)
	ended := func() int {
		rows, _, err := store.Ended(t.Context(), cursor.At(head), 10)
		check.NoError(t, err)
		return len(rows)
	}
	if n := ended(); n != 0 {
		t.Errorf("%d commands are told before they ended", n)
	}
	_, err = pool.Exec(t.Context(), endOne, id)
	check.NoError(t, err)
	if n := ended(); n != 1 {
		t.Errorf("%d commands are told, want the one that ended", n)
	}
}
