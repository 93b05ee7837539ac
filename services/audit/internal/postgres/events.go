package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Events keeps the trail. It implements trail.Appender, trail.Reader and trail.Lister.
type Events struct {
	pool     *pgxpool.Pool
	patience time.Duration // how long CheckAppend waits for the lock
}

// NewEvents returns the store.
func NewEvents(pool *pgxpool.Pool) *Events { return &Events{pool: pool, patience: patience} }

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
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		head, known, err := begin(ctx, tx, entries)
		if err != nil {
			return err
		}
		return copyNew(ctx, tx, head, judge(entries, known, verdicts))
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

// begin takes the lock and returns the last position and what is stored under the entries' ids, in one round trip.
func begin(ctx context.Context, tx pgx.Tx, entries []trail.Entry) (head int64, known map[string][]byte, err error) {
	ids := make([]string, len(entries))
	for i, e := range entries {
		ids[i] = e.Event.ID
	}
	known = map[string][]byte{}
	var batch pgx.Batch
	batch.Queue(boundLock, fmt.Sprint(maxIdle.Milliseconds()), fmt.Sprint(maxWait.Milliseconds()))
	batch.Queue(takeLock)
	batch.Queue("select coalesce(max(position), 0) from audit.events").QueryRow(func(row pgx.Row) error { return row.Scan(&head) })
	batch.Queue("select id::text, canonical from audit.events where id = any($1::uuid[])", ids).Query(func(rows pgx.Rows) error {
		var id string
		var canonical []byte
		_, err := pgx.ForEachRow(rows, []any{&id, &canonical}, func() error {
			known[id] = canonical
			return nil
		})
		return err
	})
	err = tx.SendBatch(ctx, &batch).Close()
	return head, known, err
}

// judge fills the verdicts and returns the entries that are new.
func judge(entries []trail.Entry, known map[string][]byte, verdicts []trail.Verdict) []trail.Entry {
	fresh := make([]trail.Entry, 0, len(entries))
	for i, e := range entries {
		stored, ok := known[e.Event.ID]
		switch {
		case !ok:
			verdicts[i] = trail.Kept
			known[e.Event.ID] = e.Sealed.Canonical // the same id may come again in this call
			fresh = append(fresh, e)
		case bytes.Equal(stored, e.Sealed.Canonical):
			verdicts[i] = trail.Known
		default:
			verdicts[i] = trail.Conflict
		}
	}
	return fresh
}

// copyNew adds the entries after the position.
func copyNew(ctx context.Context, tx pgx.Tx, head int64, entries []trail.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	var personal [][]any
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"audit", "events"}, eventColumns(), pgx.CopyFromSlice(len(entries), func(i int) ([]any, error) {
		e, position := entries[i], head+1+int64(i)
		for _, p := range e.Sealed.Personal {
			personal = append(personal, []any{position, p.Field, p.Salt, p.Value})
		}
		return row(position, e)
	}))
	if err != nil {
		return fmt.Errorf("copy events: %w", err)
	}
	if len(personal) == 0 {
		return nil
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"audit", "personal_values"}, []string{"position", "field", "salt", "value"}, pgx.CopyFromRows(personal))
	if err != nil {
		return fmt.Errorf("copy personal values: %w", err)
	}
	return nil
}

func eventColumns() []string {
	return []string{
		"position", "id", "time", "source", "action", "outcome", "actor_id", "organization_id", "object_type", "object_id", "request_id", "canonical",
	}
}

// row is one row of eventColumns. Filters equal ids in their one form, whatever the event says.
func row(position int64, e trail.Entry) ([]any, error) {
	var id, organization pgtype.UUID
	if err := id.Scan(e.Event.ID); err != nil {
		return nil, errors.New("the id of an event is not a UUID")
	}
	if e.Event.OrganizationID != "" {
		if err := organization.Scan(e.Event.OrganizationID); err != nil {
			return nil, errors.New("the organization of an event is not a UUID")
		}
	}
	return []any{
		position, id, e.Event.Time, e.Event.Source, e.Event.Action, string(e.Event.Outcome), relation.CanonicalID(e.Event.Actor.ID), organization,
		e.Event.ObjectType, relation.CanonicalID(e.Event.ObjectID), e.Event.RequestID, e.Sealed.Canonical,
	}, nil
}
