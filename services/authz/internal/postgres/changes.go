package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// saw is what a statement saw; its newest writer is that of the command log.
const saw = `select ` + cursor.Columns + `, coalesce((select writer from authz.commands where writer is not null
	order by writer desc limit 1), '0'::xid8) as newest`

// Now implements relationship.ChangeLog.
func (s *Commands) Now(ctx context.Context) (cursor.Head, error) {
	rows, err := s.pool.Query(ctx, saw)
	if err != nil {
		return cursor.Head{}, pg.Error(err)
	}
	seen, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[cursor.Saw])
	if err != nil {
		return cursor.Head{}, pg.Error(err)
	}
	return seen.Head()
}

// endedRow is one row of selectEnded.
type endedRow struct {
	cursor.Saw
	Writer uint64
	ID     string // "" in the row without a command
	Many   bool
	Tuples []string
}

// Ended implements relationship.ChangeLog.
func (s *Commands) Ended(ctx context.Context, after cursor.Cursor, limit int) ([]cursor.Row[relationship.News], cursor.Head, error) {
	rows, err := s.pool.Query(ctx, selectEnded, endedArgs(after, limit))
	if err != nil {
		return nil, cursor.Head{}, pg.Error(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[endedRow])
	if err != nil {
		return nil, cursor.Head{}, pg.Error(err)
	}
	head, err := found[0].Head() // there is a row at least
	ended := make([]cursor.Row[relationship.News], 0, len(found))
	for _, row := range found {
		if row.ID == "" {
			continue
		}
		news := relationship.News{All: row.Many}
		if news.Tuples, err = tuples(row.Tuples); err != nil {
			return nil, cursor.Head{}, err
		}
		ended = append(ended, cursor.Row[relationship.News]{Place: cursor.Place{Writer: row.Writer, Key: row.ID}, Value: news})
	}
	return ended, head, err
}

// newsOf is what was not seen by a condition on the writer: each has its own look into the index.
const (
	newsOf = `(select writer, id, writes, deletes from authz.commands where `
	unread = ` and ` + cursor.Ended + ` and (writer, id) > (@cursor_writer::xid8, coalesce(@cursor_key::uuid, '00000000-0000-0000-0000-000000000000'))
		order by writer, id limit @row_limit)`
)

// selectEnded is one statement: what it sees, and the commands beside it, one without an id where
// there are none. A large one is not read.
const selectEnded = `
	select saw.*, coalesce(writer, '0'::xid8) as writer, coalesce(id::text, '') as id, coalesce(many, false) as many,
		case when many then '{}' else coalesce(writes || deletes, '{}') end as tuples
	from (` + saw + `) as saw
	left join (
		select *, cardinality(writes) + cardinality(deletes) > @tuple_limit as many
		from (` + newsOf + cursor.Running + unread + ` union all ` + newsOf + cursor.Later + unread + `) as news
		order by writer, id limit @row_limit
	) as command on true
	order by command.writer, command.id`

func endedArgs(after cursor.Cursor, limit int) pgx.StrictNamedArgs {
	args := pgx.StrictNamedArgs{"row_limit": limit, "tuple_limit": relationship.MaxNews}
	after.Bind(args)
	return args
}

// CursorKey implements resource.Keys.
func (s *Commands) CursorKey(ctx context.Context) (key []byte, err error) {
	err = s.pool.QueryRow(ctx, "select key from authz.cursor_key").Scan(&key)
	return key, pg.Error(err)
}
