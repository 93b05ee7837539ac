package cursor

import (
	"fmt"
	"strconv"
	"time"
)

// Columns of what a statement saw, for its select list. They are read into a Saw, with Newest: the
// highest writer of the store's tables that the statement sees, 0 without one.
const Columns = `pg_current_snapshot()::text as snapshot, (select system_identifier from pg_control_system()) as system,
	left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) as timeline, now() as moment`

// Saw is the columns of a statement.
type Saw struct {
	Snapshot string
	System   int64
	Timeline string // of the name of the log's file: eight hexadecimal digits
	Moment   time.Time
	Newest   uint64
}

// Head returns what the statement saw.
//
// It ends with the newest writer. What is above is of no row here; and after a crash PostgreSQL
// gives the numbers of transactions again that left nothing in its log, which it never does below
// one that has committed.
func (s Saw) Head() (Head, error) {
	snapshot, err := ParseSnapshot(s.Snapshot)
	if err != nil {
		return Head{}, err
	}
	timeline, err := strconv.ParseUint(s.Timeline, 16, 32)
	if err != nil {
		return Head{}, fmt.Errorf("read the timeline: %w", err)
	}
	end := max(s.Newest, firstNormal-1) + 1
	return Head{
		Origin: Origin{System: uint64(s.System), Timeline: uint32(timeline)}, //nolint:gosec // bit pattern
		Mark:   Mark{Snapshot: snapshot.Below(end), Time: s.Moment.UTC()},
		end:    snapshot.end,
	}, nil
}

// Conditions of a read on the columns of a row. A read takes the rows of Running and of Later, each
// with its own look into an index that begins with the writer: the first are few, and a transaction
// that runs for hours does not make the second many.
const (
	// Running is: the cursor's snapshot saw the writer running.
	Running = `writer = any(@cursor_running::xid8[])`
	// Later is: the writer began after the cursor's snapshot, on this server. Rows of another one
	// would come with every read and be news of none.
	Later = `(writer >= @cursor_end::xid8 and writer < (select pg_snapshot_xmax(pg_current_snapshot())))`
	// Ended is: the writer had ended where the read ends.
	Ended = `(@cursor_until::text is null or pg_visible_in_snapshot(writer, @cursor_until::text::pg_snapshot))`
	// There is Ended for a first read, which also takes rows without a writer of this server.
	There = `(@cursor_until::text is null or writer is null or pg_visible_in_snapshot(writer, @cursor_until::text::pg_snapshot)
		or writer >= (select pg_snapshot_xmax(pg_current_snapshot())))`
)

// Bind adds the arguments of the conditions that a read of the cursor has: those of There for a
// first one, else those of Running, Later and Ended, and cursor_writer. cursor_key is the key of
// the last row, nil for none.
func (c Cursor) Bind(args map[string]any) {
	args["cursor_until"], args["cursor_key"] = nil, nil
	if until := c.Until.Snapshot; !until.IsZero() {
		args["cursor_until"] = until.String()
	}
	if c.Place.Key != "" {
		args["cursor_key"] = c.Place.Key
	}
	if c.First() {
		return
	}
	args["cursor_writer"] = c.Place.Writer
	c.Seen.Snapshot.Bind(args)
}

// Bind adds the arguments of Running and Later.
func (s Snapshot) Bind(args map[string]any) {
	running := s.running
	if running == nil {
		running = []uint64{} // nil is null, of which nothing is said
	}
	args["cursor_running"], args["cursor_end"] = running, s.end
}
