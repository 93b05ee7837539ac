package trail

import (
	"fmt"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Reasons why an event will never be accepted.
const (
	ReasonInvalid  = "INVALID_EVENT"   // the bytes are not an event, or its personal values are others
	ReasonSource   = "SOURCE_MISMATCH" // a program speaks for another one
	ReasonConflict = "EVENT_ID_TAKEN"  // another event is stored under the id
	ReasonOver     = "EVENT_TOO_OLD"   // its retention is over
)

// Rejection says why the event at an index of a batch will never be accepted.
type Rejection struct {
	Index   int
	Reason  string // UPPER_SNAKE
	Message string // for people
}

// Inbound is a batch on its way: its acceptable entries, and what is rejected.
type Inbound struct {
	Entries  []Entry
	Rejected []Rejection
	index    []int // of each entry in the batch
}

// Accept looks at each sealed event of a batch that the program `source` handed over. The canonical bytes and the personal values are
// read and verified; who speaks is who called, never who the event says.
func Accept(source string, batch []event.Sealed) Inbound {
	in := Inbound{Entries: make([]Entry, 0, len(batch)), index: make([]int, 0, len(batch))}
	for i, sealed := range batch {
		e, err := sealed.OpenWhole()
		switch {
		case err != nil:
			in.Rejected = append(in.Rejected, Rejection{Index: i, Reason: ReasonInvalid, Message: err.Error()})
		case e.Source != source:
			in.Rejected = append(in.Rejected, Rejection{
				Index: i, Reason: ReasonSource, Message: fmt.Sprintf("%s cannot speak for %s", source, e.Source),
			})
		default:
			in.Entries = append(in.Entries, Entry{Event: e, Sealed: sealed})
			in.index = append(in.index, i)
		}
	}
	return in
}

// Settle returns everything that is rejected, once the verdicts of the entries are known.
func (in Inbound) Settle(verdicts []Verdict) []Rejection {
	rejected := in.Rejected
	for i, v := range verdicts {
		switch e := in.Entries[i].Event; v {
		case Conflict:
			rejected = append(rejected, Rejection{Index: in.index[i], Reason: ReasonConflict, Message: "another event is stored under the id " + e.ID})
		case Over:
			rejected = append(rejected, Rejection{Index: in.index[i], Reason: ReasonOver, Message: fmt.Sprintf(
				"the event %s is of %s, and %s of that time are not kept any more: whether it was stored before is not known",
				e.ID, e.Time.Format(time.DateOnly), ClassOf(e))})
		case Kept, Known:
		}
	}
	return rejected
}
