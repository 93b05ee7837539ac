package postgres

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Head implements trail.Reader.
func (s *Events) Head(ctx context.Context) (head int64, err error) {
	err = s.pool.QueryRow(ctx, "select coalesce(max(position), 0) from audit.events").Scan(&head)
	return head, pg.Error(err)
}

// window is how many positions one Range goes over when no index leads to what matches.
const window = 5000

// Range implements trail.Reader.
func (s *Events) Range(ctx context.Context, f trail.Filter, after, upTo int64, limit int) ([]trail.Stored, int64, error) {
	sql, args, narrow := rangeOfOne(f, after, upTo, limit)
	if !narrow {
		upTo = min(after+window, upTo)
		sql, args = rangeOfAll(f, after, upTo, limit)
	}
	seen, err := s.read(ctx, sql, args)
	if err != nil {
		return nil, 0, err
	}
	if len(seen.positions) == limit {
		upTo = seen.positions[limit-1]
	}
	if len(f.Search) > 0 {
		seen.events = slices.DeleteFunc(seen.events, func(e trail.Stored) bool { return !f.Matches(e) })
	}
	return seen.events, upTo, nil
}

// rangeOfAll reads the positions first and filters them then: "offset 0" keeps the planner from an
// index of the filter, whose work would be bound by how much matches in the whole trail.
func rangeOfAll(f trail.Filter, after, upTo int64, limit int) (string, pgx.StrictNamedArgs) {
	var sql strings.Builder
	args := pgx.StrictNamedArgs{"after": after, "up_to": upTo, "row_limit": limit}
	sql.WriteString(`
		select position, canonical
		from (select * from audit.events where position > @after and position <= @up_to order by position offset 0) part where true`)
	addFilter(&sql, args, f)
	sql.WriteString(" order by position limit @row_limit")
	return sql.String(), args
}

// rangeOfOne reads the events of one actor, object or organization by their index, and leaves out
// the bytes of those that do not match the rest of the filter: so the work is bound by limit,
// whatever that rest is. Rows are compared as pairs, because only that index has them in this
// order: the planner would guess that the primary key meets enough of them soon. ok is false when
// the filter names none of the three.
func rangeOfOne(f trail.Filter, after, upTo int64, limit int) (sql string, args pgx.StrictNamedArgs, ok bool) {
	l := leadOf(f)
	if l.value == "" {
		return "", nil, false
	}
	var b strings.Builder
	args = pgx.StrictNamedArgs{"one": l.value, "after": after, "up_to": upTo, "row_limit": limit}
	b.WriteString("select position, case when true")
	addFilter(&b, args, l.rest)
	b.WriteString(" then canonical end as canonical from audit.events where (" + l.column + ", position) > (@one, @after) and (" +
		l.column + ", position) <= (@one, @up_to)" + l.partial + " order by " + l.column + ", position limit @row_limit")
	return b.String(), args, true
}

// lead is the field that leads to events by its index: the condition of the index, and the filter
// without the field.
type lead struct {
	column, value, partial string
	rest                   trail.Filter
}

// leadOf returns the field that admitted the reader, or, where any will do, the one of the fewest
// events.
func leadOf(f trail.Filter) lead {
	by, rest := f.By, f
	switch {
	case by != 0:
	case f.ObjectID != "":
		by = trail.ByObject
	case f.ActorID != "":
		by = trail.ByActor
	default:
		by = trail.ByOrganization
	}
	switch by {
	case trail.ByObject:
		rest.ObjectID = ""
		return lead{"object_id", f.ObjectID, " and object_id <> ''", rest}
	case trail.ByActor:
		rest.ActorID = ""
		return lead{"actor_id", f.ActorID, " and actor_id <> ''", rest}
	default:
		rest.OrganizationID = ""
		return lead{"organization_id", f.OrganizationID, " and organization_id is not null", rest}
	}
}

// LastKept is when `audit keep` ended last, or, before it ever ran, when the trail was prepared for
// it.
func (s *Events) LastKept(ctx context.Context) (last time.Time, err error) {
	err = s.pool.QueryRow(ctx, "select last_run from audit.upkeep").Scan(&last)
	return last, pg.Error(err)
}

// CursorKey implements api.Keys.
func (s *Events) CursorKey(ctx context.Context) (key []byte, err error) {
	err = s.pool.QueryRow(ctx, "select key from audit.cursor_key").Scan(&key)
	return key, pg.Error(err)
}

// List implements trail.Lister.
func (s *Events) List(ctx context.Context, q trail.Query) ([]trail.Stored, error) {
	sql, args := listEvents(q)
	found, err := s.read(ctx, sql, args)
	return found.events, err
}

func listEvents(q trail.Query) (string, pgx.StrictNamedArgs) {
	if q.Filter.By != 0 {
		return listOfOne(q)
	}
	var sql strings.Builder
	args := pgx.StrictNamedArgs{"row_limit": q.Limit}
	sql.WriteString("select position, canonical from audit.events where true")
	addFilter(&sql, args, q.Filter)
	if q.Before != nil {
		sql.WriteString(" and (time, position) < (@before_time, @before_position)")
		args["before_time"], args["before_position"] = q.Before.Time, q.Before.Position
	}
	sql.WriteString(" order by time desc, position desc limit @row_limit")
	return sql.String(), args
}

// listOfOne reads the events of the field that admitted the reader by their index. The rest of the
// filter is a "case" and the rows are compared as pairs, which keeps the planner from any other
// index: its work would be bound by others' events.
func listOfOne(q trail.Query) (string, pgx.StrictNamedArgs) {
	l := leadOf(q.Filter)
	from, to := l.rest.Since, l.rest.Until
	l.rest.Since, l.rest.Until = time.Time{}, time.Time{}
	var sql strings.Builder
	args := pgx.StrictNamedArgs{"one": l.value, "row_limit": q.Limit}
	sql.WriteString("select position, canonical from audit.events where " + l.column + " >= @one and " + l.column + " <= @one" + l.partial)
	if !from.IsZero() {
		sql.WriteString(" and (" + l.column + ", time) >= (@one, @since)")
		args["since"] = from
	}
	if !to.IsZero() {
		sql.WriteString(" and (" + l.column + ", time) < (@one, @until)")
		args["until"] = to
	}
	if q.Before != nil {
		sql.WriteString(" and (" + l.column + ", time, position) < (@one, @before_time, @before_position)")
		args["before_time"], args["before_position"] = q.Before.Time, q.Before.Position
	}
	sql.WriteString(" and case when true")
	addFilter(&sql, args, l.rest)
	sql.WriteString(" then true else false end order by " + l.column + " desc, time desc, position desc limit @row_limit")
	return sql.String(), args
}

// addFilter appends " and column = @column" for each field that is set. Where an index leaves rows out, its condition is repeated:
// only then may the planner use it whatever the value is.
func addFilter(sql *strings.Builder, args pgx.StrictNamedArgs, f trail.Filter) {
	for _, c := range []struct{ column, value, partial string }{
		{"actor_id", f.ActorID, " and actor_id <> ''"},
		{"object_type", f.ObjectType, " and object_type <> ''"},
		{"object_id", f.ObjectID, " and object_id <> ''"},
		{"organization_id", f.OrganizationID, ""},
		{"action", f.Action, ""},
		{"request_id", f.RequestID, " and request_id <> ''"},
	} {
		if c.value != "" {
			sql.WriteString(" and " + c.column + " = @" + c.column + c.partial)
			args[c.column] = c.value
		}
	}
	if f.Outcome != "" {
		sql.WriteString(" and outcome = @outcome")
		args["outcome"] = string(f.Outcome)
	}
	if f.Outcome == event.Failure || f.Outcome == event.Denied {
		sql.WriteString(" and outcome <> 'success'")
	}
	if !f.Since.IsZero() {
		sql.WriteString(" and time >= @since")
		args["since"] = f.Since
	}
	if !f.Until.IsZero() {
		sql.WriteString(" and time < @until")
		args["until"] = f.Until
	}
}

// found is what a query selects: all positions, and the events of those whose bytes it selects too.
type found struct {
	positions []int64
	events    []trail.Stored
}

// read runs a query, and reads the personal values of its events. An event that is damaged keeps
// nobody from the others.
func (s *Events) read(ctx context.Context, sql string, args pgx.StrictNamedArgs) (f found, err error) {
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return f, pg.Error(err)
	}
	var positions []int64 // of the events
	var sealed []event.Sealed
	var position int64
	var canonical []byte
	_, err = pgx.ForEachRow(rows, []any{&position, &canonical}, func() error {
		f.positions = append(f.positions, position)
		if canonical != nil {
			positions, sealed = append(positions, position), append(sealed, event.Sealed{Canonical: canonical})
			canonical = nil // the next row gets bytes of its own
		}
		return nil
	})
	if err != nil {
		return f, pg.Error(err)
	}
	if err := s.addPersonal(ctx, positions, sealed); err != nil {
		return f, pg.Error(err)
	}
	f.events = make([]trail.Stored, len(sealed))
	var damage []Damage
	for i := range sealed {
		f.events[i].Position = positions[i]
		if f.events[i].Event, err = sealed[i].Open(); err != nil {
			f.events[i].Damaged = true
			damage = append(damage, Damage{positions[i], err})
		}
	}
	if len(damage) > 0 {
		f.events, err = s.withDamaged(ctx, f.events, sealed, damage)
	}
	return f, pg.Error(err)
}

// addPersonal reads the personal values of the events at the positions, if one of them has any.
func (s *Events) addPersonal(ctx context.Context, positions []int64, sealed []event.Sealed) error {
	var with []int64
	at := map[int64][]*event.Sealed{} // several only where somebody has damaged the trail
	for i, position := range positions {
		if hasPersonal(sealed[i].Canonical) {
			with = append(with, position)
			at[position] = append(at[position], &sealed[i])
		}
	}
	if len(with) == 0 {
		return nil
	}
	rows, err := s.pool.Query(ctx, personalValues, pgx.StrictNamedArgs{"positions": with})
	if err != nil {
		return err
	}
	var position int64
	var p event.Personal
	_, err = pgx.ForEachRow(rows, []any{&position, &p.Field, &p.Salt, &p.Value}, func() error {
		for _, s := range at[position] {
			s.Personal = append(s.Personal, p)
		}
		return nil
	})
	return err
}

const personalValues = "select position, field, salt, value from audit.personal_values where position = any(@positions)"
