package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/cursor"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// newest is the highest writer of both tables.
const newest = `coalesce(greatest(
		(select writer from identity.users where writer is not null order by writer desc limit 1),
		(select writer from identity.deleted_users where writer is not null order by writer desc limit 1)), '0'::xid8) as newest`

// changeColumns are those of a change; a user that is gone has only ids.
const (
	changeColumns  = `writer, state = 'deleting' as gone, ` + userColumns
	deletedColumns = `writer, true, organization_id, id, '', '', '', '', 'deleting', 0, delete_time, delete_time, false`
)

// changeRow is one row of selectChanges.
type changeRow struct {
	cursor.Saw
	Writer uint64
	Gone   bool
	user.User
}

// Changes implements user.ChangeStore.
func (s *Users) Changes(ctx context.Context, scope user.Scope, after cursor.Cursor, limit int) ([]cursor.Row[user.Change], cursor.Head, error) {
	sql, args := selectChanges(scope, after, limit)
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, cursor.Head{}, pg.Error(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[changeRow])
	if err != nil {
		return nil, cursor.Head{}, pg.Error(err)
	}
	head, err := found[0].Head() // there is a row at least
	changes := make([]cursor.Row[user.Change], 0, len(found))
	for _, row := range found {
		if row.ID != "" {
			changes = append(changes, cursor.Row[user.Change]{
				Place: cursor.Place{Writer: row.Writer, Key: row.ID}, Value: user.Change{User: inUTC(row.User), Gone: row.Gone},
			})
		}
	}
	return changes, head, err
}

// selectChanges is one statement: what it sees, and the rows beside it. Without rows there is one
// without a user.
func selectChanges(scope user.Scope, after cursor.Cursor, limit int) (string, pgx.StrictNamedArgs) {
	args := pgx.StrictNamedArgs{"row_limit": limit}
	after.Bind(args)
	in := within(scope, args)
	var order, changes string
	if after.First() {
		order = "id"
		changes = `select ` + changeColumns + ` from identity.users
			where state = 'active' and ` + cursor.There + ` and (@cursor_key::uuid is null or id > @cursor_key::uuid)` + in
	} else {
		order = "writer, id"
		changes = `select * from (` + unseen(changeColumns, deletedColumns, in+` and `+cursor.Ended+`
			and (writer, id) > (@cursor_writer::xid8, coalesce(@cursor_key::uuid, '00000000-0000-0000-0000-000000000000'))
			order by writer, id limit @row_limit`) + `) as news`
	}
	return `
		select saw.*, coalesce(writer, '0'::xid8) as writer, coalesce(gone, false) as gone, coalesce(organization_id::text, '') as organization_id,
			coalesce(id::text, '') as id, coalesce(email, '') as email, coalesce(display_name, '') as display_name,
			coalesce(locale, '') as locale, coalesce(time_zone, '') as time_zone, coalesce(state, '') as state,
			coalesce(revision, 0) as revision, coalesce(create_time, moment) as create_time, coalesce(update_time, moment) as update_time,
			coalesce(email_verified, false) as email_verified
		from (select ` + cursor.Columns + `, ` + newest + `) as saw
		left join (` + changes + ` order by ` + order + ` limit @row_limit) as change on true
		order by change.` + strings.ReplaceAll(order, ", ", ", change."), args
}

// unseen is the union of what the cursor's snapshot did not see of both tables, each by its own
// look into an index.
func unseen(users, deleted, rest string) string {
	var parts []string
	for _, condition := range []string{cursor.Running, cursor.Later} {
		parts = append(parts,
			`(select `+users+` from identity.users where `+condition+rest+`)`,
			`(select `+deleted+` from identity.deleted_users where `+condition+rest+`)`)
	}
	return strings.Join(parts, ` union all `)
}

// Touched implements user.ChangeStore.
func (s *Users) Touched(ctx context.Context, after cursor.Cursor) ([]string, cursor.Head, error) {
	sql, args := selectTouched(after)
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, cursor.Head{}, pg.Error(err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[struct {
		cursor.Saw
		OrganizationIDs []string
	}])
	if err != nil {
		return nil, cursor.Head{}, pg.Error(err)
	}
	head, err := found.Head()
	return found.OrganizationIDs, head, err
}

func selectTouched(after cursor.Cursor) (string, pgx.StrictNamedArgs) {
	touched, args := `'{}'::text[]`, pgx.StrictNamedArgs{}
	if !after.First() {
		after.Seen.Snapshot.Bind(args)
		touched = `array(select distinct organization_id::text from (` + unseen("organization_id", "organization_id", "") + `) as news
			where organization_id is not null)`
	}
	return `select ` + cursor.Columns + `, ` + newest + `, ` + touched + ` as organization_ids`, args
}

// CursorKey implements resource.Keys.
func (s *Users) CursorKey(ctx context.Context) (key []byte, err error) {
	err = s.pool.QueryRow(ctx, "select key from identity.cursor_key").Scan(&key)
	return key, pg.Error(err)
}
