package fga

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/request"
)

// inRecovery is the SQLSTATE with which a standby refuses to tell where it writes.
const inRecovery = "55000"

// The name of the write-ahead log's file begins with the timeline, eight hexadecimal digits. The last checkpoint's timeline would be
// that of before a promotion for a while.
const selectPosition = `
	select s.system_identifier, left(pg_walfile_name(w.lsn), 8), (w.lsn - '0/0'::pg_lsn)::bigint
	from pg_control_system() s, pg_current_wal_insert_lsn() as w(lsn)`

// Position returns where the primary's log ends. Everything that was written before the call is before it, so that a later read which
// demands it by Reached reflects every such write.
func (e *Engine) Position(ctx context.Context) (request.Position, error) {
	var system, lsn int64
	var file string
	if err := e.pool.QueryRow(ctx, selectPosition).Scan(&system, &file, &lsn); err != nil {
		return request.Position{}, translate(ctx, pg.Error(err))
	}
	timeline, err := strconv.ParseUint(file, 16, 32)
	if err != nil {
		return request.Position{}, err
	}
	return request.Position{System: uint64(system), Timeline: uint32(timeline), LSN: uint64(lsn)}, nil //nolint:gosec // bit patterns
}

// Reached returns nil when what is read from now on reflects everything before p: the database is the same cluster on the same timeline
// and its log is not behind. Otherwise it is Unavailable NOT_FRESH_ENOUGH. After a failover it stays that for older positions: a
// promoted standby may lack the write.
func (e *Engine) Reached(ctx context.Context, p request.Position) error {
	now, err := e.Position(ctx)
	switch {
	case sqlState(err) == inRecovery:
		return notFresh(err)
	case err != nil:
		return err
	case now.System != p.System || now.Timeline != p.Timeline:
		return notFresh(errors.New("the token is of another cluster or timeline"))
	case now.LSN < p.LSN:
		return notFresh(errors.New("the token is ahead of the database"))
	}
	return nil
}

func notFresh(cause error) error {
	return apierr.NotFreshEnough().Saying("the answer would be older than the consistency token demands").
		WithRetryAfter(time.Second).Because(cause)
}
