package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// How a change of the partitions gets its locks. Everybody who reads or writes the trail waits
// behind one that waits, so it gives up after a moment, and asks again ever less often: beside
// somebody who reads for an hour, appends wait that long twice in a minute.
const (
	changeWait   = 50 * time.Millisecond
	changePause  = time.Second // the first; it doubles up to the longest
	longestPause = 30 * time.Second
	changeTries  = 10 // in two and a half minutes
)

// exclusive keeps everybody else out of the trail and out of one of its partitions until the
// transaction ends. The lock of whoever appends comes first, as everywhere, and in its turn: nobody
// waits for who waits for that.
func exclusive(ctx context.Context, tx pgx.Tx, partition string) error {
	return execute(ctx, tx, []string{
		fmt.Sprintf("set local lock_timeout = %d", maxWait.Milliseconds()), takeLock,
		fmt.Sprintf("set local lock_timeout = %d", changeWait.Milliseconds()), "lock table only audit.events, " + partition + " in access exclusive mode",
	})
}

// obtainable returns an error when exclusive does now.
func obtainable(ctx context.Context, tx pgx.Tx, partition string) error {
	inner, err := tx.Begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(exclusive(ctx, inner, partition), inner.Rollback(ctx))
}

// insisting runs fn, which takes a lock by exclusive, until that can be had.
func insisting(ctx context.Context, log *slog.Logger, fn func() error) error {
	for try, pause := 1, changePause; ; try, pause = try+1, min(2*pause, longestPause) {
		err := fn()
		var refused *pgconn.PgError
		if !errors.As(err, &refused) || refused.Code != lockNotAvailable || try == changeTries {
			return err
		}
		log.InfoContext(ctx, "waiting for a lock of the trail", "try", try)
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
