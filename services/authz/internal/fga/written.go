package fga

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// selectSubjects reads in the order of the primary key.
const selectSubjects = `
	select _user from authz_fga.tuple
	where store = @store and object_type = @object_type and object_id = @object_id and relation = @relation and _user > @after
	order by _user limit @row_limit`

// SubjectsOf returns the subjects that were written for a relation of an object, sorted: at most
// limit, after a subject, "" from the first.
func (e *Engine) SubjectsOf(ctx context.Context, object, name, after string, limit int) ([]string, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	kind, id, _ := strings.Cut(object, ":")
	rows, err := e.pool.Query(ctx, selectSubjects, pgx.StrictNamedArgs{
		"store": at.store, "object_type": kind, "object_id": id, "relation": name, "after": after, "row_limit": limit,
	})
	if err != nil {
		return nil, translate(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return found, translate(ctx, err)
}

// HeldBy returns the relationships that were written with exactly this subject, which may be a set
// of subjects.
func (e *Engine) HeldBy(ctx context.Context, subject string) ([]relation.Tuple, error) {
	at, err := e.loaded()
	if err != nil {
		return nil, err
	}
	rows, err := e.pool.Query(ctx, selectTuples+" and _user = @subject", pgx.StrictNamedArgs{"store": at.store, "subject": subject})
	if err != nil {
		return nil, translate(ctx, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[row])
	return tuples(found), translate(ctx, err)
}
