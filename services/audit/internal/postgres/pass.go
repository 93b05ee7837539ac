package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Locks of a step. They come before the snapshot of its transaction, since LOCK takes none. With
// takePass the snapshot has all that the last step wrote. With holdMonths no month is dropped or
// made after it: a dropped table is gone for every snapshot, and the note that retention removed
// its events is in later ones only.
const (
	takePass   = "lock table audit.log_pass in share update exclusive mode nowait"
	holdMonths = "lock table audit.events in access share mode"
)

// lookAtPass says whether a step is due, and whether another instance is at it: takePass would be
// refused then, each time an error in the server's log. That is left to two who begin at the same
// moment; a DO block, as in tryLog, would take the snapshot before the lock.
const lookAtPass = "select " + dueNow + ", " + dueNow + ` and exists (select from pg_catalog.pg_locks
		where relation = 'audit.log_pass'::regclass and database = (select oid from pg_catalog.pg_database where datname = current_database())
			and mode = 'ShareUpdateExclusiveLock' and granted)
	from audit.log_pass`

const dueNow = "(under_way or started + $1 * interval '1 microsecond' <= now())"

// Pass implements ledger.PassStore. It is a short transaction and locks nothing of whoever stores.
func (l *Log) Pass(ctx context.Context, every time.Duration, fn func(ledger.Pass, ledger.PassReader) (ledger.Pass, error)) error {
	var due, taken bool
	if err := l.pool.QueryRow(ctx, lookAtPass, every.Microseconds()).Scan(&due, &taken); err != nil || !due {
		return pg.Error(err)
	}
	if taken {
		return ledger.ErrBusy
	}
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		for _, sql := range []string{fmt.Sprintf("set local idle_in_transaction_session_timeout = %d", maxIdle.Milliseconds()), takePass, holdMonths} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return busy(err)
			}
		}
		var p ledger.Pass
		var underWay bool
		err := tx.QueryRow(ctx, "select "+dueNow+", under_way, tile, differences, unknown, places, unknown_until from audit.log_pass", every.Microseconds()).
			Scan(&due, &underWay, &p.Tile, &p.Differences, &p.Unknown, &p.Places, &p.UnknownUntil)
		if err != nil || !due {
			return err
		}
		if !underWay {
			p = ledger.Pass{UnknownUntil: p.UnknownUntil}
		}
		if p, err = fn(p, passReader{turn{tx}}); err != nil {
			return err
		}
		return storePass(ctx, tx, p, !underWay)
	})
	return pg.Error(err)
}

func storePass(ctx context.Context, tx pgx.Tx, p ledger.Pass, begins bool) error {
	if p.Places == nil {
		p.Places = []string{}
	}
	_, err := tx.Exec(ctx, `
		update audit.log_pass set started = case when @begins then now() else started end, under_way = not @done, tile = @tile,
			differences = @differences, unknown = @unknown, places = @places,
			ended = case when @done then now() else ended end,
			last_differences = case when @done then @differences else last_differences end,
			last_unknown = case when @done then @unknown else last_unknown end`,
		pgx.StrictNamedArgs{
			"begins": begins, "done": p.Done, "tile": p.Tile, "differences": p.Differences, "unknown": p.Unknown, "places": p.Places,
		})
	return err
}

// PassState is what passes have found.
type PassState struct {
	Ended       time.Time // the last complete one; before the first, when the table was made
	Differences int64     // of the last complete pass, or of the one under way when they are more
	Unknown     int64     // of the last complete pass
}

// LastPass returns what passes have found, whichever instance made them.
func (l *Log) LastPass(ctx context.Context) (s PassState, err error) {
	err = l.pool.QueryRow(ctx, `
		select ended, case when under_way then greatest(last_differences, differences) else last_differences end, last_unknown
		from audit.log_pass`).Scan(&s.Ended, &s.Differences, &s.Unknown)
	return s, pg.Error(err)
}

// passReader implements ledger.PassReader.
type passReader struct {
	turn
}

func (r passReader) FullTiles(ctx context.Context, level int, from, to int64) ([]ledger.StoredTile, error) {
	rows, err := r.tx.Query(ctx, `
		select t.index, t.root, t.hashes, substring(above.hashes from (t.index % 256)::int * 32 + 1 for 32)
		from audit.tiles t left join audit.tiles above on above.level = t.level + 1 and above.index = t.index / 256
		where t.level = $1 and t.index >= $2 and t.index < $3`, level, from, to)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t ledger.StoredTile, err error) {
		var root, hashes, above []byte
		if err := row.Scan(&t.Index, &root, &hashes, &above); err != nil {
			return t, err
		}
		t.Level = level
		copy(t.Root[:], root)
		if above != nil {
			t.Above = new(tlog.Hash)
			copy(t.Above[:], above)
		}
		t.Hashes, err = merkle.Hashes(hashes)
		return t, err
	})
}

func (r passReader) Gone(ctx context.Context, from, to int64) (map[int64]bool, error) {
	gone := map[int64]bool{}
	var batch pgx.Batch
	batch.Queue(readRemoved, from, to-1).Query(func(rows pgx.Rows) error {
		return eachRemoved(rows, func(index int64) { gone[index] = true })
	})
	batch.Queue(readLost, from*merkle.Width, to*merkle.Width).Query(func(rows pgx.Rows) error {
		return eachLost(rows, func(index int64) { gone[index] = true })
	})
	return gone, r.tx.SendBatch(ctx, &batch).Close()
}

// storedLosses are the ranges of each origin, with the event that tells its beginning. That goes
// through the outbox, and is there a moment after the origin.
const storedLosses = `
	select l.origin, array_agg(l.first order by l.first), array_agg(l.last order by l.first), o.time > now() - interval '1 hour',
		(select e.canonical from audit.events e
		where e.object_id = o.origin and e.action = $1 and e.source = 'audit' and e.outcome = 'success' and e.position > max(l.last)
		order by e.position limit 1)
	from audit.lost_events l join audit.origins o on o.number = l.origin group by l.origin, o.origin, o.time order by l.origin`

func (r passReader) Losses(ctx context.Context) ([]ledger.StoredLoss, error) {
	rows, err := r.tx.Query(ctx, storedLosses, auditlog.ReopenedAction)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l ledger.StoredLoss, err error) {
		var first, last []int64
		err = row.Scan(&l.Number, &first, &last, &l.New, &l.Event)
		for i := range first {
			l.Spans = append(l.Spans, auditlog.Span{First: first[i], Last: last[i]})
		}
		return l, err
	})
}
