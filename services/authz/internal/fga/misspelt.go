package fga

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// selectMisspelt finds relationships that were written before ids had one form (relation.CanonicalID). No index answers it: it is for
// migrations.
const selectMisspelt = selectTuples + `
	and (object_id ~ @upper or _user ~ @upper_subject)
	order by object_type, object_id, relation, _user`

const upperUUID = `(?=[-0-9a-f]*[A-F])[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}`

// Misspelt returns the relationships whose object or subject has a UUID that is not in lower case.
func (e *Engine) Misspelt(ctx context.Context) ([]relation.Tuple, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	rows, err := e.pool.Query(ctx, selectMisspelt, pgx.StrictNamedArgs{
		"store": at.store, "upper": "^" + upperUUID + "$", "upper_subject": "^[^:]+:" + upperUUID + "(#.*)?$",
	})
	if err != nil {
		return nil, translate(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	if err != nil {
		return nil, translate(ctx, err)
	}
	return tuples(found), nil
}
