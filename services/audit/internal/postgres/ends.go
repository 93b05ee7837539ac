package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/services/audit/internal/ledger"
)

const eventHashes = `select position - 1, sha256('\x00'::bytea || canonical) from audit.events where position > @after and position <= @up_to`

// Events implements ledger.PassReader and ledger.Ends.
func (t turn) Events(ctx context.Context, from, to int64) ([]ledger.StoredLeaf, error) {
	rows, err := t.tx.Query(ctx, eventHashes, pgx.StrictNamedArgs{"after": from, "up_to": to})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (leaf ledger.StoredLeaf, err error) {
		var hash []byte
		err = row.Scan(&leaf.Index, &hash)
		copy(leaf.Hash[:], hash)
		return leaf, err
	})
}

// missingLeaves are those of a range of which nothing is known, in their order. Most ranges are
// whole, which countLeaves says faster.
const (
	missingLeaves = `
		select p - 1 from (
			select generate_series(@after::bigint + 1, @up_to::bigint) as p
			except select position from audit.events where position > @after and position <= @up_to
			except select position from audit.dropped_leaves where position > @after and position <= @up_to
			except select tile * 256 + n from audit.removed_events, generate_series(1, 256) n
				where @tiled and tile between @after / 256 and @up_to / 256 and get_bit(positions, n - 1) = 1
			except select generate_series(greatest(first, @after + 1), least(last, @up_to::bigint)) from audit.lost_events where last > @after and first <= @up_to) m
		where not @tiled or p > (select unknown_until from audit.log_pass) order by p`
	countLeaves = "select count(distinct position) from audit.events where position > @after and position <= @up_to"
)

// Missing implements ledger.Ends.
func (t turn) Missing(ctx context.Context, from, to int64, tiled bool) ([]int64, error) {
	between := pgx.StrictNamedArgs{"after": from, "up_to": to}
	var there int64
	if err := t.tx.QueryRow(ctx, countLeaves, between).Scan(&there); err != nil || there == to-from {
		return nil, err
	}
	between["tiled"] = tiled
	rows, err := t.tx.Query(ctx, missingLeaves, between)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}
