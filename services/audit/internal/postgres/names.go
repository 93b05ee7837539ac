package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Bounds of bringing names in.
const (
	namesStep  = 1000                  // positions of one transaction
	namesSteps = 100                   // of one call
	namesPause = 20 * time.Millisecond // between two, for whoever stores and reads at the same time
	markEvery  = 1000                  // positions between two marks
)

// BringNames brings the words of the names in the trail into audit.names, from where the last call
// ended towards the head, with a mark of times every so often. It may be ended and called again at
// any time; while one instance is at it, a call of another does nothing. It implements trail.Names.
func (s *Events) BringNames(ctx context.Context) error {
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	for range namesSteps {
		more, err := s.bringNames(ctx, head)
		if !more || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(namesPause):
		}
	}
	return nil
}

// bringNames is one step: a transaction that holds the row of the progress. What it wrote may be
// lost with the server, words and progress alike.
func (s *Events) bringNames(ctx context.Context, head int64) (more bool, err error) {
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		p, err := takeProgress(ctx, tx)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && p.position >= head {
			return nil // another instance is at it, or all is there
		}
		if err != nil {
			return err
		}
		upTo := min(p.position+namesStep, head)
		words, latest, err := wordsBetween(ctx, tx, p.position, upTo)
		if err != nil {
			return err
		}
		if err := copyNames(ctx, tx, words); err != nil {
			return err
		}
		more = upTo < head
		return p.moveTo(ctx, tx, upTo, latest)
	})
	return more, err
}

// progress is the row of audit.names_progress.
type progress struct{ position, marked int64 }

func takeProgress(ctx context.Context, tx pgx.Tx) (p progress, err error) {
	var batch pgx.Batch
	batch.Queue("select set_config('idle_in_transaction_session_timeout', $1, true), set_config('synchronous_commit', 'off', true)",
		fmt.Sprint(maxIdle.Milliseconds()))
	batch.Queue("select position, marked from audit.names_progress for update skip locked").QueryRow(func(row pgx.Row) error {
		return row.Scan(&p.position, &p.marked)
	})
	err = tx.SendBatch(ctx, &batch).Close()
	return p, err
}

// moveTo says that everything up to the position is brought in. A clock that runs ahead does not
// make later marks useless: what is to come happened until now.
func (p progress) moveTo(ctx context.Context, tx pgx.Tx, position int64, latest pgtype.Timestamptz) error {
	if position-p.marked >= markEvery {
		p.marked = position
	}
	var batch pgx.Batch
	batch.Queue(`update audit.names_progress set position = $1, marked = $2,
		latest = greatest(latest, least(coalesce($3::timestamptz, '-infinity'), now()))`, position, p.marked, latest)
	if p.marked == position {
		batch.Queue("insert into audit.marks (time, position) select latest, position from audit.names_progress")
	}
	return tx.SendBatch(ctx, &batch).Close()
}

const namesBetween = `
	with e as (
		select position, time, organization_id, actor_id, object_id from audit.events
		where position > @after and position <= @up_to order by position offset 0)
	select e.position, e.time, e.organization_id, e.actor_id, e.object_id, coalesce(v.field, ''), coalesce(v.value, '')
	from e left join audit.personal_values v on v.position = e.position and v.position > @after and v.position <= @up_to`

// wordsBetween returns the rows of the names of events, and the latest time of one.
func wordsBetween(ctx context.Context, tx pgx.Tx, after, upTo int64) (words [][]any, latest pgtype.Timestamptz, err error) {
	rows, err := tx.Query(ctx, namesBetween, pgx.StrictNamedArgs{"after": after, "up_to": upTo})
	if err != nil {
		return nil, latest, err
	}
	var position int64
	var at pgtype.Timestamptz
	var organization pgtype.UUID
	var actor, object, field, value string
	_, err = pgx.ForEachRow(rows, []any{&position, &at, &organization, &actor, &object, &field, &value}, func() error {
		if !latest.Valid || at.Time.After(latest.Time) {
			latest = at
		}
		if event.OfClient(field) {
			return nil // it is not told to everybody who may read the event
		}
		for _, word := range trail.WordsOf(json.RawMessage(value)) {
			words = append(words, []any{position, field, word, at, organization, actor, object})
		}
		return nil
	})
	return words, latest, err
}

func copyNames(ctx context.Context, tx pgx.Tx, words [][]any) error {
	if len(words) == 0 {
		return nil
	}
	columns := []string{"position", "field", "word", "time", "organization_id", "actor_id", "object_id"}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"audit", "names"}, columns, pgx.CopyFromRows(words)); err != nil {
		return fmt.Errorf("copy names: %w", err)
	}
	return nil
}

// Start implements trail.Reader.
func (s *Events) Start(ctx context.Context, at time.Time) (position int64, err error) {
	err = s.pool.QueryRow(ctx, lastMark, at).Scan(&position)
	return position, pg.Error(err)
}

const lastMark = "select coalesce((select position from audit.marks where time < $1 order by time desc, position desc limit 1), 0)"
