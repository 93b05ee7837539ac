package cursor

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/gatehouse/gatehouse/internal/resource"
)

// MaxText bounds the text of a cursor, in bytes.
const MaxText = 2048

// version is the first byte of the form.
const version = 1

// Texts makes texts of cursors and reads them again. They are sealed: numbers of transactions count
// what others do. Safe for concurrent use.
type Texts struct {
	seal *resource.Seal
	keep time.Duration
	now  func() time.Time
}

// NewTexts returns the texts of one service. keep is for how long it remembers removed rows: an
// older cursor would miss them.
func NewTexts(keys resource.Keys, keep time.Duration, now func() time.Time) *Texts {
	return &Texts{seal: resource.NewSeal(keys), keep: keep, now: now}
}

// Seal returns the text of a cursor, which serves only the same scope: the list, and all that
// selects its rows.
func (t *Texts) Seal(ctx context.Context, c Cursor, scope ...string) (string, error) {
	return t.seal.Close(ctx, resource.Binding(purpose, scope), c.form())
}

// Open returns the cursor of a text, the zero Cursor of an empty one. What Seal did not make for
// the scope, or too long ago, is Expired.
func (t *Texts) Open(ctx context.Context, text string, scope ...string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	form, err := t.seal.Open(ctx, resource.Binding(purpose, scope), text)
	if errors.Is(err, resource.ErrNotSealed) {
		return Cursor{}, Expired()
	}
	if err != nil {
		return Cursor{}, err
	}
	c, err := parse(form)
	if err != nil || c.Since().Before(t.now().Add(-t.keep)) {
		return Cursor{}, Expired()
	}
	return c, nil
}

const purpose = "cursor of snapshots"

// form is: version (1 byte), system (8), timeline, the marks seen and until, each of a snapshot and
// microseconds since 1970, writer, key. Numbers are varints, but for the system.
func (c Cursor) form() []byte {
	b := binary.BigEndian.AppendUint64([]byte{version}, c.Origin.System)
	b = binary.AppendUvarint(b, uint64(c.Origin.Timeline))
	for _, m := range []Mark{c.Seen, c.Until} {
		b = m.Snapshot.append(b)
		if !m.Snapshot.IsZero() {
			b = binary.AppendVarint(b, m.Time.UnixMicro())
		}
	}
	b = binary.AppendUvarint(b, c.Place.Writer)
	return append(b, c.Place.Key...)
}

func parse(b []byte) (c Cursor, err error) {
	if len(b) < 9 || b[0] != version {
		return c, errForm
	}
	c.Origin.System = binary.BigEndian.Uint64(b[1:])
	timeline, b, err := takeUvarint(b[9:])
	if err != nil || timeline>>32 != 0 {
		return c, errForm
	}
	c.Origin.Timeline = uint32(timeline)
	for _, m := range []*Mark{&c.Seen, &c.Until} {
		if m.Snapshot, b, err = takeSnapshot(b); err != nil {
			return c, err
		}
		if m.Snapshot.IsZero() {
			continue
		}
		micros, n := binary.Varint(b)
		if n <= 0 {
			return c, errForm
		}
		m.Time, b = time.UnixMicro(micros).UTC(), b[n:]
	}
	c.Place.Writer, b, err = takeUvarint(b)
	if err != nil || len(b) > MaxKey {
		return c, errForm
	}
	c.Place.Key = string(b)
	return c, nil
}
