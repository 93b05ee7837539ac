package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
)

// patience of CheckAppend: a readiness check has a second and a half.
const patience = time.Second

const lockNotAvailable = "55P03" // SQLSTATE of a lock timeout

// CheckAppend returns an error while nothing can be stored because the lock of the trail cannot be
// had; for readiness. Where others store one after the other, whoever waits too long is not held
// up: the trail grows meanwhile.
func (s *Events) CheckAppend(ctx context.Context) error {
	before, err := s.Head(ctx)
	if err != nil {
		return err
	}
	err = pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(boundLock, fmt.Sprint(maxIdle.Milliseconds()), fmt.Sprint(s.patience.Milliseconds()))
		batch.Queue(takeLock)
		return tx.SendBatch(ctx, &batch).Close()
	})
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != lockNotAvailable {
		return err
	}
	head, unknown := s.Head(ctx)
	if unknown != nil {
		return unknown
	}
	if head == before {
		return reason.TrailStandsStill().Because(err)
	}
	return nil
}
