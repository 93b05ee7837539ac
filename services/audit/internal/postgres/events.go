package postgres

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Events keeps the trail. It implements trail.Appender, trail.Reader, trail.Lister and trail.Names.
type Events struct {
	pool     *pgxpool.Pool
	patience time.Duration // how long CheckAppend waits for the lock

	mostHits   int   // names that a term of a search may lead to
	mostBehind int64 // events whose names are not brought in, that a search looks through

	damaged func(context.Context, []Damage) // nil tells nobody
}

// NewEvents returns the store.
func NewEvents(pool *pgxpool.Pool) *Events {
	return &Events{pool: pool, patience: patience, mostHits: mostHits, mostBehind: mostBehind}
}

// takeLock takes the lock that whoever adds to the trail holds until its transaction ends. Only the
// roles of this schema can.
const takeLock = "lock table audit.coordination in share update exclusive mode"

// Bounds of the lock. An instance that is stopped while it holds it must not hold up all others for
// as long as that lasts, and who waits for it says so instead of waiting until its own time is up.
const (
	maxIdle = 3 * time.Second // of a transaction that holds it
	maxWait = 4 * time.Second // for the others', longer than maxIdle
)

const boundLock = "select set_config('idle_in_transaction_session_timeout', $1, true), set_config('lock_timeout', $2, true)"

// Append implements trail.Appender. The lock makes positions gap-free and their order that of the commits, so that readers by position
// lose nothing; it also makes the look for known ids exact, without a conflict that would end a COPY.
func (s *Events) Append(ctx context.Context, entries []trail.Entry) ([]trail.Verdict, error) {
	verdicts := make([]trail.Verdict, len(entries))
	err := pg.InTx(ctx, locking{s.pool}, func(tx pgx.Tx) error {
		t, err := look(ctx, tx, entries)
		if err != nil {
			return err
		}
		return copyNew(ctx, tx, t.head, judge(entries, t, verdicts))
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// state is what an append finds under the lock.
type state struct {
	head       int64             // the last position
	known      map[string][]byte // what is stored under the entries' ids
	retentions trail.Retentions  // of the entries' organizations
}

// lastPosition is the last that was ever given, as far as the database knows: one that a checkpoint
// covers, or that has personal values, is not given again, though its event may be gone.
const lastPosition = `
	select greatest((select max(position) from audit.events), (select max(position) from audit.personal_values),
		(select size from audit.checkpoints order by origin desc, size desc limit 1), 0)`

// locking begins transactions that hold the lock, in one round trip.
type locking struct {
	pool *pgxpool.Pool
}

// Begin implements pg.Beginner.
func (l locking) Begin(ctx context.Context) (pgx.Tx, error) {
	return l.pool.BeginTx(ctx, pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"begin; set local idle_in_transaction_session_timeout = %d; set local lock_timeout = %d; %s", maxIdle.Milliseconds(), maxWait.Milliseconds(), takeLock)})
}

// look returns what is there, in one round trip, once the lock is held. The look for the ids goes over
// the months of the entries' times alone: an id comes again with its time.
func look(ctx context.Context, tx pgx.Tx, entries []trail.Entry) (t state, err error) {
	ids, organizations := make([]string, len(entries)), map[string]bool{}
	var first, last time.Time
	for i, e := range entries {
		ids[i] = e.Event.ID
		if e.Event.OrganizationID != "" {
			organizations[e.Event.OrganizationID] = true
		}
		if at := e.Event.Time; i == 0 || at.Before(first) {
			first = at
		}
		if at := e.Event.Time; i == 0 || at.After(last) {
			last = at
		}
	}
	t.known = map[string][]byte{}
	var batch pgx.Batch
	batch.Queue(lastPosition).QueryRow(func(row pgx.Row) error { return row.Scan(&t.head) })
	batch.Queue(lookUp, ids, first, last).Query(func(rows pgx.Rows) error {
		var id string
		var canonical []byte
		_, err := pgx.ForEachRow(rows, []any{&id, &canonical}, func() error {
			t.known[id] = canonical
			return nil
		})
		return err
	})
	batch.Queue(retentionsOf, slices.Collect(maps.Keys(organizations))).Query(func(rows pgx.Rows) (err error) {
		t.retentions, err = pgx.CollectRows(rows, scanRetention)
		return err
	})
	err = tx.SendBatch(ctx, &batch).Close()
	return t, err
}

const lookUp = "select id::text, canonical from audit.events where id = any($1::uuid[]) and time >= $2 and time <= $3"

// judge fills the verdicts and returns the entries that are new.
func judge(entries []trail.Entry, t state, verdicts []trail.Verdict) []trail.Entry {
	fresh := make([]trail.Entry, 0, len(entries))
	for i, e := range entries {
		stored, ok := t.known[e.Event.ID]
		switch {
		case !ok && t.retentions.Over(e.Event):
			verdicts[i] = trail.Over
		case !ok:
			verdicts[i] = trail.Kept
			t.known[e.Event.ID] = e.Sealed.Canonical // the same id may come again in this call
			fresh = append(fresh, e)
		case bytes.Equal(stored, e.Sealed.Canonical):
			verdicts[i] = trail.Known
		default:
			verdicts[i] = trail.Conflict
		}
	}
	return fresh
}
