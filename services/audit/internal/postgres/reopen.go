package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

// WithOutbox returns the store with the outbox that events of its own go through, which Reopen
// needs.
func (l *Log) WithOutbox(box *outbox.Outbox) *Log { return &Log{pool: l.pool, box: box} }

// Reopen implements ledger.Store.
func (l *Log) Reopen(ctx context.Context, next func(context.Context, ledger.Ends) (ledger.Reopened, event.Event, error)) error {
	if l.box == nil {
		return errors.New("the store of the log has no outbox")
	}
	return l.box.InTx(ctx, func(tx pgx.Tx) error {
		batch := bounded()
		batch.Queue(takeLog) // a turn is short
		if err := busy(tx.SendBatch(ctx, batch).Close()); err != nil {
			return err
		}
		r, e, err := next(ctx, turn{tx})
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "insert into audit.origins (number, origin, reason, checkpoint) values ($1, $2, $3, $4)", r.Number, r.Origin, r.Reason, r.Note); err != nil {
			return err
		}
		for _, s := range r.Lost {
			if _, err := tx.Exec(ctx, "insert into audit.lost_events (origin, first, last) values ($1, $2, $3)", r.Number, s.First, s.Last); err != nil {
				return err
			}
		}
		return audit.Record(ctx, l.box, tx, e)
	})
}
