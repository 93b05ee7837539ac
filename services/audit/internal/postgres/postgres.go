// Package postgres keeps Audit's trail in PostgreSQL. One method is one transaction.
//
// Only the wiring and this service's tests import it. The program connects as a role that may add and read events and nothing else with
// them (migrations/001_create_events.sql); CheckAppendOnly holds that while it runs.
package postgres

import (
	"bytes"
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
)

// hasPersonal reports whether canonical bytes may have personal changes. A text inside of a value may look like one, which costs a look
// for values that are not there.
func hasPersonal(canonical []byte) bool { return bytes.Contains(canonical, []byte(`"personal":true`)) }

// whoMay looks at what is only added to, the partitions of the trail among it: privileges on the
// tables and on their columns, and the owners of them and of their schema, who may drop them.
const whoMay = `
	select count(*), coalesce(bool_or(
		has_table_privilege(t.oid, 'update, delete, truncate, trigger') or has_any_column_privilege(t.oid, 'update')
		or pg_has_role(t.relowner, 'member') or pg_has_role(s.nspowner, 'member')), false)
	from pg_catalog.pg_class t join pg_catalog.pg_namespace s on s.oid = t.relnamespace
	where t.oid in (to_regclass('audit.events'), to_regclass('audit.personal_values'), to_regclass('audit.tiles'), to_regclass('audit.origins'),
		to_regclass('audit.checkpoints'), to_regclass('audit.dropped_leaves'), to_regclass('audit.halts'), to_regclass('audit.cosignatures'),
		to_regclass('audit.removed_events'))
		or t.oid in (select relid from pg_catalog.pg_partition_tree(to_regclass('audit.events')))`

// protected is how many tables whoMay looks at, at least.
const protected = 9

// CheckAppendOnly returns an error when the role of this pool could change or remove what is stored (R72); for readiness.
func CheckAppendOnly(ctx context.Context, pool *pgxpool.Pool) error {
	var tables int
	var changeable bool
	if err := pool.QueryRow(ctx, whoMay).Scan(&tables, &changeable); err != nil {
		return pg.Error(err)
	}
	if tables < protected {
		return errors.New("the schema is not there yet")
	}
	if changeable {
		return reason.TrailNotProtected()
	}
	return nil
}
