package auditlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse/gatehouse/internal/event"
)

// Stored is what a log holds of one leaf.
type Stored struct {
	Index     int64
	Leaf      Hash   // that the tree was made of
	Canonical []byte // nil when the bytes are gone, and only their hash is kept
	Removed   bool   // the log says that retention has removed the bytes
	Lost      bool   // the log says that the event was gone when it was reopened
}

// maxFindings is how many places are kept; the others are counted.
const maxFindings = 100

// Check compares all leaves of a log, one after the other, with the hashes that its tree was made
// of, and the tree with checkpoints. It keeps no leaf: memory does not grow with the log.
type Check struct {
	checkpoints []Checkpoint // smallest first; those before next were compared
	next        int
	matched     int64 // size of the last checkpoint that the tree is
	diverged    bool  // from one of them on the tree is another one
	tree        Tree
	broken      bool // a leaf is missing: no root can be known from there on

	text    []byte // of the last leaf that was hashed, behind a zero
	gone    int64
	lost    int64
	lostAt  []Span // positions of the leaves that the log says are lost
	told    []told // by the events of reopened logs
	deleted *gap   // leaves whose bytes retention did not remove; nil when the last one is none
	found   []Finding
	more    int
}

// gap are leaves without their bytes, one after the other.
type gap struct {
	first, last int64
}

// Finding is one place at which something was changed.
type Finding struct {
	Index int64 // of the leaf; -1 when it is not known which one
	Text  string

	is, want Hash // of a leaf whose bytes are others
}

// CheckReport is what a whole log was found to be.
type CheckReport struct {
	Size     int64     // leaves
	Gone     int64     // of these, leaves whose bytes are gone and whose hashes are in the tree
	Lost     int64     // of these, leaves that the log says were lost when it was reopened; a finding says where no event does
	Matched  int64     // size of the largest checkpoint that the leaves make the root of; 0 when there is none
	Findings []Finding // in the order of the log, then what is lost, so many as are kept
	More     int       // that are not
}

// NewCheck begins a check against checkpoints whose signatures were verified, of one origin, in any
// order. At least one is needed: a tree alone says what is stored, not what was.
func NewCheck(checkpoints ...Checkpoint) (*Check, error) {
	if len(checkpoints) == 0 {
		return nil, errors.New("without a checkpoint there is nothing to check the log against")
	}
	sorted := slices.Clone(checkpoints)
	slices.SortFunc(sorted, func(a, b Checkpoint) int { return int(min(max(a.Size-b.Size, -1), 1)) })
	for i, c := range sorted {
		if c.Origin != sorted[0].Origin {
			return nil, fmt.Errorf("the checkpoints are of two logs, %s and %s", sorted[0].Origin, c.Origin)
		}
		if i > 0 && c.Size == sorted[i-1].Size && c.Root != sorted[i-1].Root {
			return nil, &Tampered{fmt.Sprintf("the checkpoints of size %d", c.Size), errors.New("two different trees of this size were signed")}
		}
	}
	c := &Check{checkpoints: sorted}
	c.compare()
	return c, nil
}

// Add takes the next leaf. Leaves come in the order of the log.
func (c *Check) Add(s Stored) {
	if s.Canonical != nil || s.Removed || s.Lost || s.Index != c.tree.size {
		c.endGap()
	}
	switch size := c.tree.size; {
	case s.Index < size:
		c.find(Finding{Index: s.Index, Text: "it comes again, after leaf " + fmt.Sprint(size-1)})
		return
	case s.Index == size+1:
		c.lose(size, fmt.Sprintf("it is missing: leaf %d follows on leaf %d", s.Index, size-1))
	case s.Index > size:
		c.lose(size, fmt.Sprintf("leaves %d to %d are missing", size, s.Index-1))
	}
	c.tree.size = s.Index // as if what is missing had been there
	c.event(s)
	if c.broken {
		c.tree.size++
		return
	}
	c.tree.Append(s.Leaf)
	c.compare()
}

// event compares the bytes of a leaf with its hash.
func (c *Check) event(s Stored) {
	if s.Canonical == nil {
		if s.Lost {
			c.lostAt = Adding(c.lostAt, s.Index+1)
		}
		if s.Lost && !s.Removed {
			c.lost++
			return
		}
		c.gone++
		if s.Removed {
			return
		}
		if c.deleted == nil {
			c.deleted = &gap{first: s.Index}
		}
		c.deleted.last = s.Index
		return
	}
	if leaf := c.hash(s.Canonical); leaf != s.Leaf {
		c.find(Finding{Index: s.Index, Text: nameOf(s.Canonical) + ": its bytes are not those that the tree was made of", is: leaf, want: s.Leaf})
		return
	}
	c.reopened(s)
}

// endGap finds the leaves whose bytes are gone up to here, though retention did not remove them.
func (c *Check) endGap() {
	g := c.deleted
	if g == nil {
		return
	}
	c.deleted = nil
	text := "its event is gone, and retention did not remove it: only the hash is left"
	if g.last > g.first {
		text = fmt.Sprintf("the events of leaves %d to %d are gone, and retention did not remove them: only the hashes are left", g.first, g.last)
	}
	c.find(Finding{Index: g.first, Text: text})
}

// lose notes what is missing. No root can be computed over it.
func (c *Check) lose(index int64, text string) {
	c.find(Finding{Index: index, Text: text})
	c.broken = true
}

// compare compares the tree with the checkpoints of its size.
func (c *Check) compare() {
	for ; c.next < len(c.checkpoints) && c.checkpoints[c.next].Size == c.tree.size; c.next++ {
		if c.tree.Root() == c.checkpoints[c.next].Root {
			c.matched = c.tree.size
			continue
		}
		if c.diverged { // what follows on it cannot match
			continue
		}
		c.diverged = true
		c.find(Finding{Index: -1, Text: fmt.Sprintf(
			"somewhere from leaf %d to leaf %d the hashes of the tree are not those of the checkpoint of size %d: an event was changed, and its hash with it unless none is stored yet",
			c.matched, c.tree.size-1, c.tree.size)})
	}
}

// Finish ends the check.
func (c *Check) Finish() CheckReport {
	c.endGap()
	c.endLost()
	if last := c.checkpoints[len(c.checkpoints)-1]; c.tree.size < last.Size {
		c.find(Finding{Index: c.tree.size, Text: fmt.Sprintf("the log ends here, and a checkpoint of %d leaves was signed: it was cut, rewound or restored from an older backup", last.Size)})
	}
	r := CheckReport{Size: c.tree.size, Gone: c.gone, Lost: c.lost, Matched: c.matched, Findings: c.found, More: c.more}
	for i := range r.Findings { // bytes that stand at another's place were moved there
		f := &r.Findings[i]
		at := slices.IndexFunc(r.Findings, func(o Finding) bool { return f.is != (Hash{}) && o.want == f.is })
		if at >= 0 {
			f.Text += fmt.Sprintf("; they belong to leaf %d", r.Findings[at].Index)
		}
	}
	return r
}

func (c *Check) find(f Finding) {
	if len(c.found) == maxFindings {
		c.more++
		return
	}
	c.found = append(c.found, f)
}

// hash is LeafHash without anything that has to be collected again.
func (c *Check) hash(canonical []byte) Hash {
	c.text = append(append(c.text[:0], 0), canonical...)
	return sha256.Sum256(c.text)
}

func nameOf(canonical []byte) string {
	e, err := event.Parse(canonical)
	if err != nil {
		return "something that is no event"
	}
	return "event " + e.ID
}
