package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Log keeps the log over the trail. It implements ledger.Store.
type Log struct {
	pool *pgxpool.Pool
	box  *outbox.Outbox // nil where nothing is reopened
}

// NewLog returns the store.
func NewLog(pool *pgxpool.Pool) *Log { return &Log{pool: pool} }

// takeLog takes the lock that whoever grows the tree holds until its transaction ends.
const takeLog = "lock table audit.sequencer in share update exclusive mode"

// tryLog takes that lock unless another instance has it. A refusal that reached the client would be
// an error in the server's log, each time that two instances meet.
const tryLog = `do $$
begin
    lock table audit.sequencer in share update exclusive mode nowait;
    perform set_config('gatehouse.has_log', 'yes', true);
exception when lock_not_available then null;
end $$`

// Grow implements ledger.Store. A session that is stopped while it holds the lock loses it with its
// transaction, after maxIdle.
func (l *Log) Grow(ctx context.Context, fn func(ledger.Turn) error) error {
	return pg.InTx(ctx, l.pool, func(tx pgx.Tx) error {
		var taken bool
		batch := bounded()
		batch.Queue(tryLog)
		batch.Queue("select coalesce(current_setting('gatehouse.has_log', true), '') = 'yes'").QueryRow(func(row pgx.Row) error { return row.Scan(&taken) })
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
		if !taken {
			return ledger.ErrBusy // there is nothing to do
		}
		return fn(turn{tx})
	})
}

// bounded limits the transaction that is going to hold the lock.
func bounded() *pgx.Batch {
	var batch pgx.Batch
	batch.Queue(boundLock, fmt.Sprint(maxIdle.Milliseconds()), fmt.Sprint(maxWait.Milliseconds()))
	return &batch
}

// busy names the lock that another instance holds, of a statement that asks for no other.
func busy(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == lockNotAvailable {
		return ledger.ErrBusy
	}
	return err
}

// State implements ledger.Store.
func (l *Log) State(ctx context.Context) (ledger.State, error) {
	s, err := stateOf(ctx, l.pool)
	return s, pg.Error(err)
}

// Tiles implements ledger.Store.
func (l *Log) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	data, err := tilesOf(ctx, l.pool, tiles)
	return data, pg.Error(err)
}

// SignedAt implements ledger.Store.
func (l *Log) SignedAt(ctx context.Context, number int, size int64) (note string, err error) {
	err = l.pool.QueryRow(ctx, "select note from audit.checkpoints where origin = $1 and size = $2", number, size).Scan(&note)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return note, pg.Error(err)
}

// Cosigned implements ledger.Store.
func (l *Log) Cosigned(ctx context.Context, number int, size int64, c ledger.Cosignature) error {
	_, err := l.pool.Exec(ctx, "insert into audit.cosignatures (origin, size, witness, line) values ($1, $2, $3, $4) on conflict do nothing",
		number, size, c.Witness, c.Line)
	return pg.Error(err)
}

// Event implements ledger.Store.
func (l *Log) Event(ctx context.Context, id string) (e ledger.Event, found bool, err error) {
	err = l.pool.QueryRow(ctx, "select position, coalesce(organization_id::text, ''), canonical from audit.events where id = $1", id).
		Scan(&e.Position, &e.OrganizationID, &e.Canonical)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, false, nil
	}
	if err != nil || !hasPersonal(e.Canonical) {
		return e, err == nil, pg.Error(err)
	}
	rows, err := l.pool.Query(ctx, "select field, salt, value from audit.personal_values where position = $1 order by field", e.Position)
	if err != nil {
		return e, false, pg.Error(err)
	}
	e.Personal, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ledger.Personal])
	return e, err == nil, pg.Error(err)
}

// turn implements ledger.Turn.
type turn struct {
	tx pgx.Tx
}

func (t turn) State(ctx context.Context) (ledger.State, error) { return stateOf(ctx, t.tx) }

func (t turn) Tiles(ctx context.Context, tiles []tlog.Tile) ([][]byte, error) {
	return tilesOf(ctx, t.tx, tiles)
}

func (t turn) Leaves(ctx context.Context, from int64, limit int) ([]tlog.Hash, error) {
	var batch pgx.Batch
	data := queueLeaves(&batch, from, limit)
	if err := t.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("read leaves from %d: %w", from, err)
	}
	return merkle.Hashes(data())
}

func (t turn) Open(ctx context.Context, number int, origin string) error {
	_, err := t.tx.Exec(ctx, "insert into audit.origins (number, origin) values ($1, $2)", number, origin)
	return err
}

func (t turn) Halt(ctx context.Context, number int, h ledger.Halt) error {
	_, err := t.tx.Exec(ctx, "insert into audit.halts (origin, cause, checkpoint) values ($1, $2, $3) on conflict do nothing", number, h.Cause, h.Note)
	return err
}

func (t turn) Add(ctx context.Context, number int, tiles []merkle.Tile, c ledger.Checkpoint) error {
	var batch pgx.Batch
	for _, tile := range tiles {
		batch.Queue("insert into audit.tiles (level, index, root, hashes) values ($1, $2, $3, $4)",
			tile.Level, tile.Index, tile.Root[:], merkle.Data(tile.Hashes))
	}
	batch.Queue("insert into audit.checkpoints (origin, size, root, note) values ($1, $2, $3, $4)", number, c.Tree.N, c.Tree.Hash[:], c.Note)
	if err := t.tx.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("store tiles and the checkpoint of %d leaves: %w", c.Tree.N, err)
	}
	return nil
}

// reader runs queries: a pool or a transaction.
type reader interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// newestState looks at the ends of indexes only.
const newestState = `
	select coalesce(o.number, 0), coalesce(o.origin, ''), coalesce(c.size, 0), coalesce(c.root, ''), coalesce(c.note, ''),
		coalesce((select index + 1 from audit.tiles where level = 0 order by index desc limit 1), 0),
		coalesce((select max(position) from audit.events), 0), h.cause, coalesce(h.checkpoint, ''),
		(select coalesce(array_agg(witness order by witness), '{}') from audit.cosignatures s where s.origin = o.number and s.size = c.size),
		(select coalesce(array_agg(line order by witness), '{}') from audit.cosignatures s where s.origin = o.number and s.size = c.size)
	from (select) one
	left join (select number, origin from audit.origins order by number desc limit 1) o on true
	left join lateral (select size, root, note from audit.checkpoints where origin = o.number order by size desc limit 1) c on true
	left join audit.halts h on h.origin = o.number`

func stateOf(ctx context.Context, db reader) (s ledger.State, err error) {
	var root []byte
	var cause *string
	var note string
	var witnesses, lines []string
	err = db.QueryRow(ctx, newestState).Scan(&s.Number, &s.Origin, &s.Last.Tree.N, &root, &s.Last.Note, &s.Tiles, &s.Head, &cause, &note, &witnesses, &lines)
	copy(s.Last.Tree.Hash[:], root)
	if cause != nil {
		s.Halt = &ledger.Halt{Cause: *cause, Note: note}
	}
	for i, witness := range witnesses {
		s.Cosignatures = append(s.Cosignatures, ledger.Cosignature{Witness: witness, Line: lines[i]})
	}
	return s, err
}

// tilesOf reads the tiles, and what those at the edge are made of, in one round trip.
func tilesOf(ctx context.Context, db reader, tiles []tlog.Tile) ([][]byte, error) {
	data, below := make([][]byte, len(tiles)), make([]func() []byte, len(tiles))
	var batch pgx.Batch
	for i, t := range tiles {
		batch.Queue("select substring(hashes for $3) from audit.tiles where level = $1 and index = $2", t.L, t.N, t.W*tlog.HashSize).Query(func(rows pgx.Rows) error {
			_, err := pgx.ForEachRow(rows, []any{&data[i]}, func() error { return nil })
			return err
		})
		switch first := t.N * merkle.Width; {
		case t.W == merkle.Width:
		case t.L == 0:
			below[i] = queueLeaves(&batch, first, t.W)
		default:
			below[i] = queueRoots(&batch, t.L-1, first, t.W)
		}
	}
	if err := db.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, fmt.Errorf("read tiles: %w", err)
	}
	for i := range tiles {
		if data[i] == nil && below[i] != nil {
			data[i] = below[i]()
		}
	}
	return data, nil
}

// queueLeaves asks for the hashes of the leaves from the index on, at most n; the function returns
// those up to the first that is missing, once the batch was read.
func queueLeaves(batch *pgx.Batch, from int64, n int) func() []byte {
	h := newHashes(n)
	for _, sql := range []string{ // who drops events keeps their hashes first: what the first does not see any more, the second does
		`select position - 1 - $1, sha256('\x00'::bytea || canonical) from audit.events where position > $1 and position <= $1 + $2::bigint`,
		"select position - 1 - $1, hash from audit.dropped_leaves where position > $1 and position <= $1 + $2::bigint",
		`select p - 1 - $1, sha256('\x00'::bytea || convert_to('gatehouse.audit.lost/1' || chr(10) || p || chr(10), 'UTF8'))
			from audit.lost_events, generate_series(greatest(first, $1 + 1), least(last, $1 + $2::bigint)) p
			where last > $1 and first <= $1 + $2::bigint`, // that is auditlog.LostLeaf
	} {
		batch.Queue(sql, from, n).Query(h.read)
	}
	return h.prefix
}

// queueRoots asks for the roots of n tiles of a level.
func queueRoots(batch *pgx.Batch, level int, from int64, n int) func() []byte {
	h := newHashes(n)
	batch.Queue("select index - $2, root from audit.tiles where level = $1 and index >= $2 and index < $2 + $3::bigint", level, from, n).Query(h.read)
	return h.prefix
}

// hashes are put at their places, in whatever order they come; the first at a place stays.
type hashes struct {
	data []byte
	has  []bool
}

func newHashes(n int) *hashes {
	return &hashes{data: make([]byte, n*tlog.HashSize), has: make([]bool, n)}
}

func (h *hashes) read(rows pgx.Rows) error {
	var at int64
	var hash []byte
	_, err := pgx.ForEachRow(rows, []any{&at, (*pgtype.DriverBytes)(&hash)}, func() error {
		if !h.has[at] {
			copy(h.data[at*tlog.HashSize:], hash)
			h.has[at] = true
		}
		return nil
	})
	return err
}

func (h *hashes) prefix() []byte {
	for i, has := range h.has {
		if !has {
			return h.data[:i*tlog.HashSize]
		}
	}
	return h.data
}
