// Package cursor follows the rows of a table from where somebody stopped, without a gap and without
// telling anything twice, whatever commits late.
//
// Each row has the number of the transaction that wrote it last, its writer (xid8, set by a
// trigger). A cursor is a snapshot: what it did not see is news. One read asks for the rows whose
// writer the snapshot did not see, in batches of one statement each, and the snapshot of its first
// statement is where it ends and where the next one begins:
//
//	no cursor ──first read: all rows, by key──► Seen ──read: by writer and key──► Seen ──► …
//	                  │                                    │
//	           (Until, Place)                       (Until, Place)    between its batches
//
// No transaction is held open. A row that changes while a read is under way is left to the next
// one, so states may merge and never repeat. Rows without a writer were there before writers were
// noted: only a first read tells them.
//
// Stores of services (sql.go), their domain packages and their api packages import it; it imports
// no driver.
package cursor

import (
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Origin is the server that transactions are numbered by.
type Origin struct {
	System   uint64 // system identifier of the cluster
	Timeline uint32 // changes when a standby is promoted, which may lack transactions
}

// Mark is a snapshot with the time at which it was taken, by the database's clock.
type Mark struct {
	Snapshot Snapshot
	Time     time.Time // microseconds
}

// Place is a row of a read.
type Place struct {
	Writer uint64
	Key    string // unique among rows of one writer; at most MaxKey bytes
}

// MaxKey bounds the key of a row, in bytes.
const MaxKey = 256

// Cursor is what was told. The zero Cursor is the beginning.
type Cursor struct {
	Origin Origin
	Seen   Mark  // by all reads that are over; zero until the first is
	Until  Mark  // where the read that is under way ends; zero between reads
	Place  Place // last row of that read that was told
}

// First reports whether the first read is not over: it tells rows as they are, whoever wrote them.
func (c Cursor) First() bool { return c.Seen.Snapshot.IsZero() }

// Since is the time from which on removed rows must be remembered for the cursor to lead on.
func (c Cursor) Since() time.Time {
	if c.First() {
		return c.Until.Time
	}
	return c.Seen.Time
}

// Head is what a statement saw.
type Head struct {
	Origin Origin
	Mark   Mark
	end    uint64 // no writer that the statement saw is as high, unless another server wrote it
}

// At returns the cursor that leads to what comes after the head.
func At(h Head) Cursor {
	return Cursor{Origin: h.Origin, Seen: Mark{Snapshot: h.Mark.Snapshot.bounded(), Time: h.Mark.Time}}
}

// Row is what a statement read.
type Row[T any] struct {
	Place Place
	Value T
}

// Told is a row that is news, with the cursor after it.
type Told[T any] struct {
	Value T
	After Cursor
}

// Expired is the response to a cursor that leads nowhere: it is too old, of another list, or of
// another state of the database.
func Expired() error {
	return apierr.CursorExpired()
}

// Advance takes over what one statement read after the cursor: at most limit rows, in the order of
// the read. more is false when nothing is left that the statement saw: a read that an earlier
// statement began, perhaps long ago, ends before that. The error is Expired when the database has
// another origin or an older state than the cursor.
func Advance[T any](c Cursor, h Head, rows []Row[T], limit int) (told []Told[T], next Cursor, more bool, err error) {
	switch {
	case c.Origin == Origin{}:
		c.Origin = h.Origin
	case c.Origin != h.Origin, max(c.Seen.Snapshot.end, c.Until.Snapshot.end) > h.end:
		return nil, c, false, Expired()
	}
	begins := c.Until.Snapshot.IsZero()
	if begins {
		c.Until = At(h).Seen
	}
	next = c
	for _, row := range rows {
		if c.news(row.Place.Writer, h) {
			next.Place = row.Place
			told = append(told, Told[T]{Value: row.Value, After: next})
		}
	}
	if len(rows) >= limit {
		return told, next, true, nil
	}
	next = Cursor{Origin: c.Origin, Seen: c.Until}
	if n := len(told); n > 0 {
		told[n-1].After = next
	}
	return told, next, !begins, nil
}

// news reports whether a row of a writer belongs to the read. A writer that no snapshot here can
// have seen is another server's: the rows came with a copy of its data.
func (c Cursor) news(writer uint64, h Head) bool {
	if c.First() {
		return writer == 0 || writer >= h.end || c.Until.Snapshot.Sees(writer)
	}
	return writer > 0 && !c.Seen.Snapshot.Sees(writer) && c.Until.Snapshot.Sees(writer)
}
