package drift

import (
	"fmt"
	"io"
	"strings"
)

// Report is how a Consul differs from the definition, for people and machines.
type Report struct {
	Asked       string       `json:"asked"`   // which mesh
	Entries     int          `json:"entries"` // of the definition
	Differences []Difference `json:"differences"`
	Mend        string       `json:"-"`
}

// OK reports that nothing differs.
func (r Report) OK() bool { return len(r.Differences) == 0 }

// Text writes the report for a terminal.
func (r Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&b, "%s: %s\n", d.Kind, d.Sentence(r.Mend))
		for _, call := range d.Calls {
			fmt.Fprintf(&b, "  %s\n", call)
		}
	}
	switch len(r.Differences) {
	case 0:
		fmt.Fprintf(&b, "all %d entries in %s are as the definition says\n", r.Entries, r.Asked)
	case 1:
		fmt.Fprintf(&b, "one difference between %s and the definition with its %d entries\n", r.Asked, r.Entries)
	default:
		fmt.Fprintf(&b, "%d differences between %s and the definition with its %d entries\n", len(r.Differences), r.Asked, r.Entries)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
