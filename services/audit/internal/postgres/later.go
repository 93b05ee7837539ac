package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// copied is how many events of events_later one transaction copies.
const copied = 5000

// ExtendMonths makes the monthly partitions that the trail lacks, up to monthsAhead after now, out
// of events_later. The database is that of the schema's owner. It returns how many it made. It may
// be ended at any time, and run beside others: the next one goes on.
//
// What events_later has by then, its heirs get first, part by part, in a table beside the trail.
//
//	audit.events          audit.events_staged
//	├─ …                  ├─ events_2027_04   the months that are made
//	└─ events_later  ──►  └─ events_next      what comes after them
//
// They take the place of events_later when they have all of it: a change of the catalog, and a copy
// of what was stored since the last part.
func ExtendMonths(ctx context.Context, db database, now time.Time, log *slog.Logger) (made int, err error) {
	until := monthOf(now).AddDate(0, monthsAhead+1, 0)
	for {
		due, err := heirsDue(ctx, db, until)
		if err != nil || !due {
			return made, err
		}
		err = insisting(ctx, log, func() error {
			if err := copyLater(ctx, db, until, log); err != nil {
				return err
			}
			n, err := replaceLater(ctx, db)
			if err == nil { // and not for a try that is repeated
				made += n
			}
			return err
		})
		if err != nil {
			return made, fmt.Errorf("make months of the trail: %w", err)
		}
	}
}

// heirsDue reports whether events_later is to get heirs, or has some: those are ended in any case,
// also for a run whose clock was ahead, because nothing is removed while they are there.
func heirsDue(ctx context.Context, db queryer, until time.Time) (bool, error) {
	from, err := laterFrom(ctx, db)
	if err != nil || from.Before(until) {
		return err == nil, err
	}
	all, err := partitionsOf(ctx, db, staged)
	return len(all) > 0, err
}

// copyLater brings the heirs of events_later up to it.
func copyLater(ctx context.Context, db database, until time.Time, log *slog.Logger) error {
	var n int64
	for more, all := true, int64(0); more; {
		err := pg.InTx(ctx, db, func(tx pgx.Tx) error {
			more = false
			if _, err := tx.Exec(ctx, lockUpkeep); err != nil {
				return err
			}
			there, err := stage(ctx, tx, until)
			if err != nil || !there { // another process was here
				return err
			}
			n, err = copyPart(ctx, tx)
			more = n == copied
			return err
		})
		if err != nil {
			return err
		}
		if all += n; more {
			log.InfoContext(ctx, "events are copied to their months", "events", all)
		}
	}
	return nil
}

// stage makes the heirs, unless an earlier run has, and reports whether there are any. With the
// checks none of them has to be read when it becomes a partition of the trail.
func stage(ctx context.Context, tx pgx.Tx, until time.Time) (bool, error) {
	if err := dropOutdated(ctx, tx); err != nil {
		return false, err
	}
	all, err := partitionsOf(ctx, tx, staged)
	if err != nil || len(all) > 0 {
		return err == nil, err
	}
	from, err := laterFrom(ctx, tx)
	if err != nil || !from.Before(until) {
		return false, err
	}
	statements := []string{"create table " + staged + " (like audit.events including all) partition by range (time)"}
	for month := from; month.Before(until); month = month.AddDate(0, 1, 0) {
		statements = append(statements, fmt.Sprintf(
			"create table %[1]s partition of %[2]s (constraint in_bounds check (time >= '%[3]s' and time < '%[4]s')) for values from ('%[3]s') to ('%[4]s')",
			monthName(month), staged, bound(month), bound(month.AddDate(0, 1, 0))))
	}
	statements = append(statements, fmt.Sprintf(
		"create table audit.%s partition of %s (constraint in_bounds check (time >= '%[3]s')) for values from ('%[3]s') to (maxvalue)", next, staged, bound(until)))
	return true, execute(ctx, tx, statements)
}

// dropOutdated drops heirs that cannot become partitions any more, because a migration has changed
// the columns or checks of the trail since. All that they have is in events_later, too.
func dropOutdated(ctx context.Context, tx pgx.Tx) error {
	var outdated bool
	err := tx.QueryRow(ctx, `
		select to_regclass($2) is not null and count(distinct (
			array(select (attname, atttypid, atttypmod, attnotnull)::text from pg_catalog.pg_attribute
				where attrelid = name::regclass and attnum > 0 and not attisdropped order by attnum),
			array(select pg_get_constraintdef(oid) from pg_catalog.pg_constraint where conrelid = name::regclass and contype = 'c' order by conname))) > 1
		from (values ($1), ($2)) t (name) where to_regclass(name) is not null`, "audit.events", staged).Scan(&outdated)
	if err != nil || !outdated {
		return err
	}
	return execute(ctx, tx, []string{"drop table " + staged})
}

const (
	staged = "audit.events_staged"
	next   = "events_next" // of it, in the end events_later
)

// copyPart copies what comes next. Events are stored in the order of their positions, and of those
// in events_later none is removed while it has heirs.
func copyPart(ctx context.Context, tx pgx.Tx) (n int64, err error) {
	tag, err := tx.Exec(ctx, "insert into "+staged+" select * from audit.events_later where position > (select coalesce(max(position), 0) from "+staged+
		") order by position limit $1", copied)
	return tag.RowsAffected(), err
}

// replaceLater puts the heirs into the place of events_later, and returns how many months they are.
// It does nothing when another process has done it, and when they are too far behind.
func replaceLater(ctx context.Context, db database) (made int, err error) {
	err = pg.InTx(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockUpkeep); err != nil {
			return err
		}
		all, err := partitionsOf(ctx, tx, staged)
		if err != nil || len(all) == 0 {
			return err
		}
		if err := exclusive(ctx, tx, "audit.events_later"); err != nil {
			return err
		}
		if n, err := copyPart(ctx, tx); err != nil || n == copied {
			return err
		}
		made = len(all) - 1
		return execute(ctx, tx, replacing(all))
	})
	return made, err
}

func replacing(all []partition) []string {
	statements := []string{"alter table audit.events detach partition audit.events_later", "drop table audit.events_later"}
	for _, p := range all {
		table, to := "audit."+p.Name, "'"+bound(p.To)+"'"
		statements = append(statements, "alter table "+staged+" detach partition "+table)
		if p.Name == next {
			table, to = "audit.events_later", "maxvalue"
			statements = append(statements, "alter table audit."+next+" rename to events_later")
		}
		statements = append(statements,
			fmt.Sprintf("alter table audit.events attach partition %s for values from ('%s') to (%s)", table, bound(p.From), to),
			"alter table "+table+" drop constraint in_bounds")
	}
	return append(statements, "drop table "+staged)
}

func execute(ctx context.Context, tx pgx.Tx, statements []string) error {
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}
