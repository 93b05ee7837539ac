package fga

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// scanPage is how many relationships Misspelt reads with one statement: few enough for any limit
// that an operator sets to statements.
const scanPage = 2000

// Misspelt returns the relationships that were written before ids had one form
// (relation.CanonicalID). No index answers that: it reads all of them, in the order of the primary
// key, on a connection for migrations.
func (e *Engine) Misspelt(ctx context.Context, conn *pgx.Conn) (misspelt []relation.Tuple, err error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	for after := (*row)(nil); ; {
		sql, args := Filter{}.query(at.store, after, scanPage)
		rows, err := conn.Query(ctx, sql, args)
		if err != nil {
			return nil, translate(ctx, err)
		}
		page, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
		if err != nil {
			return nil, translate(ctx, err)
		}
		for _, t := range tuples(page) {
			if t.Canonical() != t {
				misspelt = append(misspelt, t)
			}
		}
		if len(page) < scanPage {
			return misspelt, nil
		}
		after = &page[len(page)-1]
	}
}
