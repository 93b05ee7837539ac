// Package resource is what services have in common where people read and change resources: the tags
// of their revisions, the pages of their lists, and the tokens of those pages.
//
// The api packages of services parse it from requests and answer with it, domain packages pass it
// on, stores turn it into SQL. It knows none of them, and imports nothing that a domain package may
// not. Filters are parsed by the package filter below it, which does.
package resource

import "time"

// Page sizes.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Op compares a field with a value.
type Op string

// The comparisons a Condition may use.
const (
	Equal        Op = "="
	NotEqual     Op = "!="
	Less         Op = "<"
	LessEqual    Op = "<="
	Greater      Op = ">"
	GreaterEqual Op = ">="
)

// Condition compares one field. Value is a string for text fields and a time.Time for times.
type Condition struct {
	Field string
	Op    Op
	Value any
}

// Cursor is the position after one row of a list that is ordered by creation time and id.
type Cursor struct {
	CreateTime time.Time // with microseconds
	ID         string
}

// Query asks for at most Limit rows that meet all conditions, after the cursor or, without one,
// from the start.
type Query struct {
	Where []Condition
	After *Cursor
	Limit int
}

// Page clamps the limit and returns the query that reads one row more than a page, by which the
// reader sees whether there is a next.
func (q Query) Page() (pageSize int, ahead Query) {
	switch {
	case q.Limit <= 0:
		q.Limit = DefaultLimit
	case q.Limit > MaxLimit:
		q.Limit = MaxLimit
	}
	pageSize = q.Limit
	q.Limit++
	return pageSize, q
}

// Cut splits the rows read ahead into the page and the cursor of its end; the cursor is nil on the
// last page.
func Cut[T any](rows []T, pageSize int, position func(T) Cursor) ([]T, *Cursor) {
	if len(rows) <= pageSize {
		return rows, nil
	}
	end := position(rows[pageSize-1])
	return rows[:pageSize], &end
}
