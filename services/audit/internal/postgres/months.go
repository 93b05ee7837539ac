package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// monthsAhead are made of the trail. What happens later, by the clock of the program that says so,
// stands in events_later until its month is made.
const monthsAhead = 3

// database is a pool or a connection.
type database interface {
	pg.Beginner
	queryer
}

// queryer is a connection or a transaction.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// partition is one of the trail: what happened in [from, to).
type partition struct {
	Name     string    // without the schema
	From, To time.Time // zero where it has no bound
}

// partitions returns those of the trail in the order of their times.
func partitions(ctx context.Context, db queryer) ([]partition, error) {
	return partitionsOf(ctx, db, "audit.events")
}

// partitionsOf returns those of a table; none when there is no such table. The bounds are read from
// the definitions, which PostgreSQL writes in the session's time zone.
func partitionsOf(ctx context.Context, db queryer, table string) ([]partition, error) {
	rows, err := db.Query(ctx, `
		select c.relname,
			coalesce(substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''(.*?)''\)')::timestamptz, '-infinity'),
			coalesce(substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''(.*?)''\)')::timestamptz, 'infinity')
		from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
		where i.inhparent = to_regclass($1) and c.relpartbound is not null
		order by 2`, table)
	if err != nil {
		return nil, fmt.Errorf("list the months of the trail: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) {
		var from, to pgtype.Timestamptz
		err = row.Scan(&p.Name, &from, &to)
		p.From, p.To = from.Time, to.Time
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the months of the trail: %w", err)
	}
	return all, nil
}

// laterFrom is where events_later begins.
func laterFrom(ctx context.Context, db queryer) (time.Time, error) {
	all, err := partitions(ctx, db)
	if err != nil {
		return time.Time{}, err
	}
	for _, p := range all {
		if p.Name == "events_later" && !p.From.IsZero() {
			return p.From.UTC(), nil
		}
	}
	return time.Time{}, errors.New("the trail has no partition audit.events_later: run `audit migrate`")
}

func monthOf(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

func monthName(month time.Time) string { return "audit.events_" + month.Format("2006_01") }

// bound is a time as a bound of a partition.
func bound(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z07:00") }
