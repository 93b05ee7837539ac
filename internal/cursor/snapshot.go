package cursor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Snapshot says of every transaction of one PostgreSQL server whether it had ended: those below an
// end had, but for some that were running (type pg_snapshot). The zero Snapshot saw nothing.
type Snapshot struct {
	end     uint64
	running []uint64 // ascending, below end
}

// firstNormal is the lowest number that a transaction can have.
const firstNormal = 3

// ParseSnapshot reads PostgreSQL's text of a snapshot, "xmin:xmax:running,…".
func ParseSnapshot(text string) (Snapshot, error) {
	bad := fmt.Errorf("%q is not a snapshot", text)
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return Snapshot{}, bad
	}
	begin, beginErr := strconv.ParseUint(parts[0], 10, 64)
	end, endErr := strconv.ParseUint(parts[1], 10, 64)
	if beginErr != nil || endErr != nil || begin > end || end < firstNormal {
		return Snapshot{}, bad
	}
	s := Snapshot{end: end}
	if parts[2] == "" {
		return s, nil
	}
	for number := range strings.SplitSeq(parts[2], ",") {
		id, err := strconv.ParseUint(number, 10, 64)
		if err != nil || id >= end || len(s.running) > 0 && id <= s.running[len(s.running)-1] {
			return Snapshot{}, bad
		}
		s.running = append(s.running, id)
	}
	return s, nil
}

// String returns PostgreSQL's text of the snapshot, which its functions take.
func (s Snapshot) String() string {
	begin := s.end
	if len(s.running) > 0 {
		begin = s.running[0]
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d:%d:", begin, s.end)
	for i, id := range s.running {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(strconv.FormatUint(id, 10))
	}
	return text.String()
}

// IsZero reports whether the snapshot saw nothing.
func (s Snapshot) IsZero() bool { return s.end == 0 }

// Sees reports whether the transaction had ended.
func (s Snapshot) Sees(id uint64) bool {
	_, runs := slices.BinarySearch(s.running, id)
	return id < s.end && !runs
}

// Below returns what the snapshot saw below a number.
func (s Snapshot) Below(end uint64) Snapshot {
	if end >= s.end {
		return s
	}
	n, _ := slices.BinarySearch(s.running, end)
	return Snapshot{end: end, running: s.running[:n]}
}

// maxSnapshot bounds the form of a snapshot, in bytes.
const maxSnapshot = 480

// bounded returns the most of the snapshot whose form is short enough. It saw less, which only puts
// off what it does not see: the first transactions that run are never left out.
func (s Snapshot) bounded() Snapshot {
	for n := len(s.append(nil)); n > maxSnapshot; n = len(s.append(nil)) {
		drop := max(1, len(s.running)/8)
		s = s.Below(s.running[len(s.running)-drop])
	}
	return s
}

// append appends the form: end, how many run, and from the last to the first how much lower each is
// than the number before it, all as varints.
func (s Snapshot) append(b []byte) []byte {
	b = binary.AppendUvarint(b, s.end)
	b = binary.AppendUvarint(b, uint64(len(s.running)))
	above := s.end
	for _, id := range slices.Backward(s.running) {
		b = binary.AppendUvarint(b, above-id)
		above = id
	}
	return b
}

var errForm = errors.New("not the form of a cursor")

// takeSnapshot reads what append wrote, and returns the rest.
func takeSnapshot(b []byte) (s Snapshot, rest []byte, err error) {
	end, b, err := takeUvarint(b)
	if err != nil {
		return s, nil, err
	}
	n, b, err := takeUvarint(b)
	if err != nil || n > uint64(len(b)) { // each has a byte at least
		return s, nil, errForm
	}
	s.end, s.running = end, make([]uint64, n)
	above := end
	for i := range slices.Backward(s.running) {
		var lower uint64
		if lower, b, err = takeUvarint(b); err != nil || lower == 0 || lower > above {
			return Snapshot{}, nil, errForm
		}
		above -= lower
		s.running[i] = above
	}
	if n == 0 {
		s.running = nil
	}
	return s, b, nil
}

func takeUvarint(b []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errForm
	}
	return v, b[n:], nil
}
