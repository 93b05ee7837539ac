package postgres

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse/gatehouse/internal/auditlog"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
	"github.com/gatehouse/gatehouse/services/audit/internal/merkle"
)

// Bounds of one read of the log: 4 tiles, and so many bytes of events and one event more. The
// answer over REST is a third larger.
const (
	readTiles = 4
	readBytes = 512 << 10
)

// What is stored of the leaves at positions after $1 up to $2. In this order nothing is missed that
// is removed between two of them: the removal of an event keeps its hash, forgets that only once a
// tile has it, and is noted for ever.
const (
	readEvents  = "select position - 1, canonical from audit.events where position > $1 and position <= $2 order by position"
	readDropped = "select position - 1, hash from audit.dropped_leaves where position > $1 and position <= $2"
	readHashes  = "select index, hashes from audit.tiles where level = 0 and index between $1 and $2"
	readRemoved = "select tile, positions::text from audit.removed_events where tile between $1 and $2"
	readLost    = "select generate_series(greatest(first, $1::bigint + 1), least(last, $2::bigint)) - 1 from audit.lost_events where last > $1 and first <= $2"
)

// Leaves implements ledger.Store.
func (l *Log) Leaves(ctx context.Context, from, to int64) ([]ledger.Leaf, int64, error) {
	tile := from / merkle.Width
	to = min(to, (tile+readTiles)*merkle.Width)
	p := part{from: from, leaves: make([]ledger.Leaf, to-from)}
	var batch pgx.Batch
	batch.Queue(readEvents, from, to).Query(p.events)
	batch.Queue(readDropped, from, to).Query(p.dropped)
	batch.Queue(readHashes, tile, tile+readTiles-1).Query(p.hashes)
	batch.Queue(readRemoved, tile, tile+readTiles-1).Query(p.removed)
	batch.Queue(readLost, from, to).Query(p.lost)
	if err := l.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return nil, 0, pg.Error(fmt.Errorf("read leaves from %d: %w", from, err))
	}
	next := from + int64(len(p.leaves))
	return p.stored(), next, nil
}

// part is what is read of some leaves, each at its place.
type part struct {
	from   int64
	leaves []ledger.Leaf
}

// events takes the bytes of events until they are enough: then the part ends there.
func (p *part) events(rows pgx.Rows) error {
	defer rows.Close()
	var index int64
	var canonical pgtype.DriverBytes
	for size := 0; rows.Next(); {
		if err := rows.Scan(&index, &canonical); err != nil {
			return err
		}
		p.leaves[index-p.from].Canonical = bytes.Clone(canonical)
		if size += len(canonical); size >= readBytes {
			p.leaves = p.leaves[:index-p.from+1]
			break
		}
	}
	rows.Close()
	return rows.Err()
}

// dropped takes the hashes of events that were removed.
func (p *part) dropped(rows pgx.Rows) error {
	var index int64
	var hash pgtype.DriverBytes
	_, err := pgx.ForEachRow(rows, []any{&index, &hash}, func() error {
		p.hash(index, hash)
		return nil
	})
	return err
}

// hashes takes those of full tiles, which is what the tree was made of.
func (p *part) hashes(rows pgx.Rows) error {
	var tile int64
	var data pgtype.DriverBytes
	_, err := pgx.ForEachRow(rows, []any{&tile, &data}, func() error {
		for i := range min(len(data)/tlog.HashSize, merkle.Width) {
			p.hash(tile*merkle.Width+int64(i), data[i*tlog.HashSize:(i+1)*tlog.HashSize])
		}
		return nil
	})
	return err
}

// removed takes which events retention has removed.
func (p *part) removed(rows pgx.Rows) error {
	return eachRemoved(rows, func(index int64) {
		if at := index - p.from; at >= 0 && at < int64(len(p.leaves)) {
			p.leaves[at].Removed = true
		}
	})
}

// lost takes which events were gone when the log was reopened.
func (p *part) lost(rows pgx.Rows) error {
	return eachLost(rows, func(index int64) {
		at := index - p.from
		if at < 0 || at >= int64(len(p.leaves)) || p.leaves[at].Canonical != nil {
			return
		}
		if p.leaves[at].Lost = true; p.leaves[at].Hash == nil {
			h := auditlog.LostLeaf(index)
			p.leaves[at].Hash = &h
		}
	})
}

// eachLost tells the leaves that rows of readLost name.
func eachLost(rows pgx.Rows, tell func(index int64)) error {
	var index int64
	_, err := pgx.ForEachRow(rows, []any{&index}, func() error {
		tell(index)
		return nil
	})
	return err
}

// eachRemoved tells the leaves that rows of readRemoved name.
func eachRemoved(rows pgx.Rows, tell func(index int64)) error {
	var tile int64
	var positions string
	_, err := pgx.ForEachRow(rows, []any{&tile, &positions}, func() error {
		for i, bit := range positions {
			if bit == '1' {
				tell(tile*merkle.Width + int64(i))
			}
		}
		return nil
	})
	return err
}

func (p *part) hash(index int64, data []byte) {
	if at := index - p.from; at >= 0 && at < int64(len(p.leaves)) && len(data) == tlog.HashSize {
		h := tlog.Hash(data)
		p.leaves[at].Hash = &h
	}
}

// stored are the leaves of which something is.
func (p *part) stored() []ledger.Leaf {
	all := p.leaves[:0]
	for i, l := range p.leaves {
		if l.Canonical != nil || l.Hash != nil {
			l.Index = p.from + int64(i)
			all = append(all, l)
		}
	}
	return all
}

// Signed implements ledger.Store.
func (l *Log) Signed(ctx context.Context, number int, after, upTo int64, limit int) ([]string, error) {
	rows, err := l.pool.Query(ctx, `
		select note from (select size, note from audit.checkpoints where origin = $1 and size > $2 and size <= $3 order by size desc limit $4) c
		order by size`, number, after, upTo, limit)
	if err != nil {
		return nil, pg.Error(err)
	}
	notes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return notes, pg.Error(err)
}
