package postgres

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/audit/v1/reason"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Bounds of a search.
const (
	mostHits   = 5000   // names that a term may lead to; of more, the events are looked through, newest first
	mostLooked = 5000   // events that are looked through for one page
	mostBehind = 10_000 // events whose names are not brought in yet
	lookStep   = 500    // events that are read at a time
)

// Search implements trail.Lister. The term with the fewest names leads to the events, which are
// then compared with the whole filter; what was stored since the names were brought in is compared
// one by one, so a search finds whatever a list shows.
func (s *Events) Search(ctx context.Context, q trail.Query) ([]trail.Stored, *trail.Cursor, error) {
	recent, err := s.recent(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	hits, few, err := s.hits(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	if !few {
		return s.lookThrough(ctx, q)
	}
	at := make(map[int64]bool, len(hits))
	for _, h := range hits {
		at[h.Position] = true
	}
	for _, e := range recent {
		if !at[e.Position] { // it may have been brought in meanwhile
			hits = append(hits, trail.Cursor{Time: e.Event.Time, Position: e.Position})
		}
	}
	slices.SortFunc(hits, newestFirst)
	return s.compare(ctx, q, hits)
}

func newestFirst(a, b trail.Cursor) int {
	return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Position, a.Position))
}

// recent returns the events that match among those whose names are not brought in yet.
func (s *Events) recent(ctx context.Context, q trail.Query) (matching []trail.Stored, err error) {
	var after, head int64
	if err := s.pool.QueryRow(ctx, "select position from audit.names_progress").Scan(&after); err != nil {
		return nil, pg.Error(err)
	}
	if head, err = s.Head(ctx); err != nil {
		return nil, err
	}
	if head-after > s.mostBehind {
		return nil, reason.SearchNotReady().WithRetryAfter(time.Second) // how many there are is nobody's business (R93)
	}
	for after < head {
		events, reached, err := s.Range(ctx, q.Filter, after, head, lookStep)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if q.Before == nil || newestFirst(trail.Cursor{Time: e.Event.Time, Position: e.Position}, *q.Before) > 0 {
				matching = append(matching, e)
			}
		}
		after = reached
	}
	return matching, nil
}

// hits returns the events, in any order, that the term of the fewest names leads to. few is false
// when each leads to too many.
func (s *Events) hits(ctx context.Context, q trail.Query) (hits []trail.Cursor, few bool, err error) {
	for _, term := range q.Filter.Search {
		sql, args := namesOf(q.Filter, term, s.mostHits+1)
		rows, err := s.pool.Query(ctx, sql, args)
		if err != nil {
			return nil, false, pg.Error(err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[trail.Cursor])
		if err != nil {
			return nil, false, pg.Error(err)
		}
		if len(found) <= s.mostHits && (!few || len(found) < len(hits)) {
			hits, few = found, true
		}
	}
	seen := make(map[int64]bool, len(hits))
	hits = slices.DeleteFunc(hits, func(h trail.Cursor) bool {
		twice := seen[h.Position] // by another word
		seen[h.Position] = true
		f := q.Filter
		return twice || q.Before != nil && newestFirst(h, *q.Before) <= 0 ||
			!f.Since.IsZero() && h.Time.Before(f.Since) || !f.Until.IsZero() && !h.Time.Before(f.Until)
	})
	return hits, few, nil
}

// namesOf reads the names that begin with a term: those in the events of the field that admitted
// the reader, or that the filter names, or all. Rows are compared as pairs, which keeps the planner
// from any other index: its work would be bound by others' events.
func namesOf(f trail.Filter, term string, limit int) (string, pgx.StrictNamedArgs) {
	l := leadOf(f)
	args := pgx.StrictNamedArgs{"from": term, "to": term + "\U0010ffff", "row_limit": limit}
	where, order := "word >= @from and word < @to", "word"
	if l.value != "" {
		where = "(" + l.column + ", word) >= (@one, @from) and (" + l.column + ", word) < (@one, @to)" + l.partial
		order = l.column + ", word"
		args["one"] = l.value
	}
	return "select time, position from audit.names where " + where + " order by " + order + " limit @row_limit", args
}

// compare reads the events at the hits, newest first, until a page of them matches.
func (s *Events) compare(ctx context.Context, q trail.Query, hits []trail.Cursor) (events []trail.Stored, next *trail.Cursor, err error) {
	for len(hits) > 0 && len(events) <= q.Limit {
		n := min(max(q.Limit+1-len(events), 20), lookStep, len(hits))
		sql, args := eventsAt(q.Filter, hits[:n])
		found, err := s.read(ctx, sql, args)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range found.events {
			if q.Filter.Matches(e) {
				events = append(events, e)
			}
		}
		hits = hits[n:]
	}
	if len(events) <= q.Limit {
		return events, nil, nil
	}
	last := events[q.Limit-1]
	return events[:q.Limit], &trail.Cursor{Time: last.Event.Time, Position: last.Position}, nil
}

// eventsAt reads the events at the hits, which are in their order, newest first. Their times keep
// it to the months of the hits.
func eventsAt(f trail.Filter, hits []trail.Cursor) (string, pgx.StrictNamedArgs) {
	positions := make([]int64, len(hits))
	for i, h := range hits {
		positions[i] = h.Position
	}
	f.Since, f.Until, f.Search = time.Time{}, time.Time{}, nil
	var sql strings.Builder
	args := pgx.StrictNamedArgs{"positions": positions, "first": hits[len(hits)-1].Time, "last": hits[0].Time}
	sql.WriteString("select position, case when true")
	addFilter(&sql, args, f)
	sql.WriteString(" then canonical end as canonical from audit.events " +
		"where position = any(@positions) and time >= @first and time <= @last order by time desc, position desc")
	return sql.String(), args
}

// lookThrough reads the events that match the rest of the filter, newest first, until a page of
// them has the terms: where those are frequent, that is soon.
func (s *Events) lookThrough(ctx context.Context, q trail.Query) (events []trail.Stored, next *trail.Cursor, err error) {
	rest := q
	rest.Filter.Search, rest.Limit = nil, min(lookStep, max(100, 2*q.Limit)) // a page of what is frequent is near
	for looked := 0; looked < mostLooked; looked += rest.Limit {
		found, err := s.List(ctx, rest)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range found {
			rest.Before = &trail.Cursor{Time: e.Event.Time, Position: e.Position}
			if q.Filter.Matches(e) {
				if events = append(events, e); len(events) == q.Limit {
					return events, rest.Before, nil
				}
			}
		}
		if len(found) < rest.Limit {
			return events, nil, nil
		}
	}
	return events, rest.Before, nil
}
