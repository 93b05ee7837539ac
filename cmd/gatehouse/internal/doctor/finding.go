package doctor

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Level is how bad a finding is.
type Level string

// The levels, the worst first.
const (
	Danger  Level = "danger"  // somebody can have what is not theirs, or an apply or the platform fails
	Warning Level = "warning" // it works, and is weaker than it should be
	Untried Level = "untried" // it could not be asked: it has not passed
	OK      Level = "ok"
)

// Finding is the answer to one question.
type Finding struct {
	Level Level  `json:"level"`
	ID    string `json:"id"`            // of the question
	What  string `json:"what"`          // is the case
	Why   string `json:"why,omitempty"` // that matters
	Fix   string `json:"fix,omitempty"` // what to do, where it is not OK
}

// Report is what was found at a site.
type Report struct {
	Asked    string    `json:"asked"` // who answered
	Prefix   string    `json:"prefix"`
	Findings []Finding `json:"findings"`
}

// Count is how many findings have a level.
func (r *Report) Count(level Level) int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// Text writes the report for a terminal: a line for each finding, the worst first.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, level := range []Level{Danger, Warning, Untried, OK} {
		for _, f := range r.Findings {
			if f.Level == level {
				b.WriteString(f.line() + "\n")
			}
		}
	}
	fmt.Fprintf(&b, "%s: %d dangers, %d warnings, %d not asked, %d in order\n",
		r.Asked, r.Count(Danger), r.Count(Warning), r.Count(Untried), r.Count(OK))
	_, err := io.WriteString(w, b.String())
	return err
}

func (f Finding) line() string {
	label := string(f.Level)
	if f.Level == Danger {
		label = "DANGER"
	}
	parts := slices.DeleteFunc([]string{f.What, f.Why}, func(s string) bool { return s == "" })
	text := fmt.Sprintf("%-7s  %s: %s", label, f.ID, strings.Join(parts, "; "))
	if f.Fix != "" {
		text += ". Fix: " + f.Fix
	}
	return strings.NewReplacer("\n\t", " ", "\n", " ").Replace(text)
}
