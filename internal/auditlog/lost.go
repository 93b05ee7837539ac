package auditlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse/gatehouse/internal/event"
)

// ReopenedAction is that of the event which a reopened log tells its beginning with.
const ReopenedAction = "audit.log_reopened"

// How many ranges of positions the event names: all, or the first when they are too many.
const (
	maxNamed   = 1000
	firstNamed = 20
)

// Fields of the event.
const (
	lostEvents    = "lost_events"
	lostPositions = "lost_positions"
	lostSum       = "lost_positions_sha256"
)

// LostLeaf is the hash of the leaf at the position of an event that was gone when the log was
// reopened, and of which no hash was left either. Its data is this text, which no event can be.
func LostLeaf(index int64) Hash {
	return LeafHash(fmt.Appendf(nil, "gatehouse.audit.lost/1\n%d\n", index+1))
}

// Span is a range of positions.
type Span struct{ First, Last int64 }

// String is the form that events name it in.
func (s Span) String() string { return fmt.Sprintf("%d-%d", s.First, s.Last) }

// CountSpans returns how many positions the spans have.
func CountSpans(spans []Span) (n int64) {
	for _, s := range spans {
		n += s.Last - s.First + 1
	}
	return n
}

// sumOf is the SHA-256 of a list of ranges, one a line.
func sumOf(spans []Span) string {
	h := sha256.New()
	for _, s := range spans {
		_, _ = fmt.Fprintln(h, s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// LossChanges are what the event says of the events that were lost: their number, and all ranges of
// their positions, or of very many the first ones and the SHA-256 of the list.
func LossChanges(lost []Span) (changes []event.Change, err error) {
	if len(lost) == 0 {
		return nil, nil
	}
	fields := []struct {
		name  string
		value any
	}{{lostEvents, CountSpans(lost)}, {lostPositions, lost}}
	if len(lost) > maxNamed {
		fields[1].value = lost[:firstNamed]
		fields = append(fields, struct {
			name  string
			value any
		}{lostSum, sumOf(lost)})
	}
	for _, f := range fields {
		text, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		changes = append(changes, event.Change{Field: f.name, Value: text})
	}
	return changes, nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) (err error) {
	first, last, _ := strings.Cut(string(text), "-")
	if s.First, err = strconv.ParseInt(first, 10, 64); err == nil {
		s.Last, err = strconv.ParseInt(last, 10, 64)
	}
	if err != nil || s.First < 1 || s.Last < s.First {
		return fmt.Errorf("%q is no range of positions", text)
	}
	return nil
}

// Loss is what an event says was lost.
type Loss struct {
	named []Span
	sum   string // of the whole list, when not all are named
}

// LossOf reads what an event says; what it does not say in this form is not lost.
func LossOf(e event.Event) (l Loss) {
	for _, c := range e.Changes {
		var err error
		switch c.Field {
		case lostPositions:
			err = json.Unmarshal(c.Value, &l.named)
		case lostSum:
			err = json.Unmarshal(c.Value, &l.sum)
		}
		if err != nil {
			return Loss{}
		}
	}
	return l
}

// Is reports whether the event says that exactly these are lost, in their order.
func (l Loss) Is(lost []Span) bool {
	if l.sum != "" {
		return l.sum == sumOf(lost)
	}
	return slices.Equal(l.named, lost)
}

// told is what an event of the log says was lost.
type told struct {
	origin string
	index  int64 // of the event: nothing behind it was lost then
	loss   Loss
}

// reopened takes what an event says whose hash was compared, when it tells that this log or one
// before it began anew. The first origin never did.
func (c *Check) reopened(s Stored) {
	if !bytes.Contains(s.Canonical, []byte(ReopenedAction)) {
		return
	}
	e, err := event.Parse(s.Canonical)
	if err != nil || e.Action != ReopenedAction || !strings.HasPrefix(e.Action, e.Source+".") || e.Outcome != event.Success {
		return
	}
	prefix, n := OriginNumber(e.ObjectID)
	if own, last := OriginNumber(c.checkpoints[0].Origin); prefix != own || n < 2 || n > last {
		return
	}
	if slices.ContainsFunc(c.told, func(t told) bool { return t.origin == e.ObjectID }) {
		c.find(Finding{Index: s.Index, Text: "it is a second event " + ReopenedAction + " of " + e.ObjectID + ", and an origin has one"})
		return
	}
	c.told = append(c.told, told{e.ObjectID, s.Index, LossOf(e)})
}

// endLost finds the leaves of which the log says that they are lost, and no event does. Events that
// name all ranges come first: what they do not explain are the lists of the others.
func (c *Check) endLost() {
	left := c.lostAt
	for _, t := range c.told {
		if t.loss.sum == "" {
			left = without(left, upTo(t.loss.named, t.index))
		}
	}
	for _, t := range c.told {
		if before := upTo(left, t.index); t.loss.sum != "" && t.loss.Is(before) {
			left = without(left, before)
		}
	}
	for _, s := range left {
		which := "its event is gone"
		if s.Last > s.First {
			which = fmt.Sprintf("the events of leaves %d to %d are gone", s.First-1, s.Last-1)
		}
		c.find(Finding{Index: s.First - 1, Text: which + ", and no event " + ReopenedAction + " of this log says that they were when it was reopened"})
	}
}

// upTo are the parts of spans up to a position.
func upTo(spans []Span, last int64) (all []Span) {
	for _, s := range spans {
		if s.Last = min(s.Last, last); s.First <= s.Last {
			all = append(all, s)
		}
	}
	return all
}

// without are the positions of spans that others do not have; both are in order.
func without(spans, others []Span) (all []Span) {
	for _, s := range spans {
		for len(others) > 0 && others[0].Last < s.First {
			others = others[1:]
		}
		for _, o := range others {
			if o.First > s.Last {
				break
			}
			if o.First > s.First {
				all = append(all, Span{s.First, o.First - 1})
			}
			s.First = max(s.First, o.Last+1)
		}
		if s.First <= s.Last {
			all = append(all, s)
		}
	}
	return all
}

// Adding returns the spans with a position behind them.
func Adding(spans []Span, position int64) []Span {
	if last := len(spans) - 1; last >= 0 && spans[last].Last == position-1 {
		spans[last].Last = position
		return spans
	}
	return append(spans, Span{position, position})
}
