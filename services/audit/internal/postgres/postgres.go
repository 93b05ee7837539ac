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

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/pg"
)

// hasPersonal reports whether canonical bytes may have personal changes. A text inside of a value may look like one, which costs a look
// for values that are not there.
func hasPersonal(canonical []byte) bool { return bytes.Contains(canonical, []byte(`"personal":true`)) }

// CheckAppendOnly returns an error when the role of this pool could change or remove what is stored (R72); for readiness.
func CheckAppendOnly(ctx context.Context, pool *pgxpool.Pool) error {
	var events, values *bool
	err := pool.QueryRow(ctx, `
		select has_table_privilege(to_regclass('audit.events'), 'update, delete, truncate, trigger'),
			has_table_privilege(to_regclass('audit.personal_values'), 'update, delete, truncate, trigger')`).Scan(&events, &values)
	if err != nil {
		return pg.Error(err)
	}
	if events == nil || values == nil {
		return errors.New("the schema is not there yet")
	}
	if *events || *values {
		return apierr.New(apierr.FailedPrecondition, "TRAIL_NOT_PROTECTED",
			"the role of this program may change or remove events: serve as the role audit, and let only audit_owner own the schema")
	}
	return nil
}
