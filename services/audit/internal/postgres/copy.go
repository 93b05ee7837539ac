package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
)

// Where rows go, with the columns in the order in which appendEvent and appendPersonal write them.
// pgx's own CopyFrom would ask for the columns' types at each call, and box each value.
const (
	copyEvents = `copy audit.events (position, id, time, source, action, outcome, actor_id, organization_id, object_type, object_id, request_id,
		canonical) from stdin (format binary)`
	copyPersonal = "copy audit.personal_values (position, field, salt, value) from stdin (format binary)"
)

// epoch is that of PostgreSQL's times, 2000-01-01, in microseconds of Unix.
const epoch = 946_684_800_000_000

// copyNew adds the entries after the position.
func copyNew(ctx context.Context, tx pgx.Tx, head int64, entries []trail.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	type personal struct {
		position int64
		event.Personal
	}
	var values []personal
	events := copyRows{rows: len(entries), row: func(b []byte, i int) ([]byte, error) { return appendEvent(b, head+1+int64(i), entries[i]) }}
	for i, e := range entries {
		for _, p := range e.Sealed.Personal {
			values = append(values, personal{head + 1 + int64(i), p})
		}
	}
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, &events, copyEvents); err != nil {
		return fmt.Errorf("copy events: %w", err)
	}
	if len(values) == 0 {
		return nil
	}
	personals := copyRows{rows: len(values), row: func(b []byte, i int) ([]byte, error) {
		return appendPersonal(b, values[i].position, values[i].Personal), nil
	}}
	if _, err := tx.Conn().PgConn().CopyFrom(ctx, &personals, copyPersonal); err != nil {
		return fmt.Errorf("copy personal values: %w", err)
	}
	return nil
}

// copyRows are rows in the binary form of COPY, of which so many are made at a time as one read takes.
type copyRows struct {
	rows int
	row  func(b []byte, i int) ([]byte, error) // appends row i

	buf   []byte // is filled again and again: most commits have few rows
	made  []byte // of it, and not read yet
	next  int    // row
	begun bool
	ended bool
}

// copyChunk is about how much is made at a time, in bytes: what pgx sends at once.
const copyChunk = 64 << 10

// Read implements io.Reader.
func (c *copyRows) Read(p []byte) (n int, err error) {
	if len(c.made) == 0 {
		if c.ended {
			return 0, io.EOF
		}
		if err := c.make(); err != nil {
			return 0, err
		}
	}
	n = copy(p, c.made)
	c.made = c.made[n:]
	return n, nil
}

func (c *copyRows) make() (err error) {
	b := c.buf[:0]
	if !c.begun {
		b = append(b, "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...) // no flags, no extension
		c.begun = true
	}
	for ; c.next < c.rows && len(b) < copyChunk; c.next++ {
		if b, err = c.row(b, c.next); err != nil {
			return err
		}
	}
	if c.next == c.rows {
		b, c.ended = binary.BigEndian.AppendUint16(b, 0xffff), true
	}
	c.buf, c.made = b, b
	return nil
}

// appendEvent appends a row of copyEvents. Filters equal ids in their one form, whatever the event
// says.
func appendEvent(b []byte, position int64, e trail.Entry) ([]byte, error) {
	id, err := uuid.Parse(e.Event.ID)
	if err != nil {
		return nil, fmt.Errorf("the id of an event: %w", err)
	}
	b = appendNumber(binary.BigEndian.AppendUint16(b, 12), position)
	b = appendField(b, id[:])
	b = appendNumber(b, e.Event.Time.UnixMicro()-epoch)
	b = appendField(appendField(appendField(b, e.Event.Source), e.Event.Action), e.Event.Outcome)
	b = appendField(b, relation.CanonicalID(e.Event.Actor.ID))
	if e.Event.OrganizationID == "" {
		b = binary.BigEndian.AppendUint32(b, 0xffffffff) // null
	} else {
		organization, err := uuid.Parse(e.Event.OrganizationID)
		if err != nil {
			return nil, fmt.Errorf("the organization of an event: %w", err)
		}
		b = appendField(b, organization[:])
	}
	b = appendField(appendField(b, e.Event.ObjectType), relation.CanonicalID(e.Event.ObjectID))
	return appendField(appendField(b, e.Event.RequestID), e.Sealed.Canonical), nil
}

func appendPersonal(b []byte, position int64, p event.Personal) []byte {
	b = appendNumber(binary.BigEndian.AppendUint16(b, 4), position)
	return appendField(appendField(appendField(b, p.Field), p.Salt), p.Value)
}

func appendField[T ~string | ~[]byte](b []byte, value T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...) //nolint:gosec // an event is at most 256 KiB
}

func appendNumber(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(n)) //nolint:gosec // its two's complement is what is sent
}
