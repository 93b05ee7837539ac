package mesh

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Diff is what a change of the contracts does to the allow/deny matrix.
type Diff struct {
	Allowed []Cell // newly allowed, sorted by callee, path and caller
	Taken   []Cell // no longer allowed, also because the caller, callee or method is gone
	Still   int    // cells that stay allowed
	Denied  int    // cells that stay denied
	New     int    // denied cells of callers, callees or methods that the base did not have

	Granted []string // newly given beside calls, sorted: "auth writes platform#administrator@user"
	Revoked []string // no longer given
}

// Compare tells what changes from base to head.
func Compare(base, head *Definition) Diff {
	before := map[Cell]bool{} // by cell without Allowed: allowed at base
	for _, cell := range base.Cells() {
		before[cell.key()] = cell.Allowed
	}
	var diff Diff
	for _, cell := range head.Cells() {
		was, known := before[cell.key()]
		delete(before, cell.key())
		switch {
		case cell.Allowed && was:
			diff.Still++
		case cell.Allowed:
			diff.Allowed = append(diff.Allowed, cell)
		case was:
			diff.Taken = append(diff.Taken, cell.key())
		case known:
			diff.Denied++
		default:
			diff.New++
		}
	}
	for cell, was := range before { // gone from the matrix
		if was {
			diff.Taken = append(diff.Taken, cell)
		}
	}
	slices.SortFunc(diff.Taken, compareCells)
	was, is := base.rights(), head.rights()
	if base.statesAccess() {
		was, is = append(was, base.admissions()...), append(is, head.admissions()...)
	}
	diff.Granted, diff.Revoked = without(is, was), without(was, is)
	return diff
}

// without are the elements of a that b does not have.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

func (c Cell) key() Cell {
	c.Allowed = false
	return c
}

// Empty reports whether nothing is newly allowed or taken away.
func (d Diff) Empty() bool {
	return len(d.Allowed) == 0 && len(d.Taken) == 0 && len(d.Granted) == 0 && len(d.Revoked) == 0
}

// Text writes the difference for a terminal: a line for each changed cell, then the counts.
func (d Diff) Text(w io.Writer) error {
	var b strings.Builder
	for _, cell := range d.Allowed {
		fmt.Fprintf(&b, "+ %s\n", cell)
	}
	for _, cell := range d.Taken {
		fmt.Fprintf(&b, "- %s\n", cell)
	}
	for _, line := range d.Granted {
		fmt.Fprintf(&b, "+ %s\n", line)
	}
	for _, line := range d.Revoked {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprintln(&b, d.summary())
	for _, step := range d.order() {
		fmt.Fprintln(&b, step)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Markdown writes the difference for a pull request.
func (d Diff) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("### Who may call what\n\n")
	if d.Empty() {
		b.WriteString("Nothing is newly allowed or taken away.\n\n")
	}
	table(&b, "Newly allowed", d.Allowed)
	table(&b, "Taken away", d.Taken)
	list(&b, "Beside calls, newly given", d.Granted)
	list(&b, "Beside calls, taken away", d.Revoked)
	fmt.Fprintln(&b, d.summary())
	for _, step := range d.order() {
		fmt.Fprintf(&b, "\n%s\n", step)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// order says what to apply before the programs are rolled, and what after: while they are, old
// instances and new ones run side by side, and what either needs must be there.
func (d Diff) order() []string {
	var steps []string
	if n := len(d.Allowed) + len(d.Granted); n > 0 {
		steps = append(steps, fmt.Sprintf("Before a roll: what is newly allowed or given (%d). New instances need it from their start.", n))
	}
	if n := len(d.Taken) + len(d.Revoked); n > 0 {
		steps = append(steps, fmt.Sprintf("After a roll: what is taken away (%d). Old instances use it until they are gone.", n))
	}
	return steps
}

func table(b *strings.Builder, title string, cells []Cell) {
	if len(cells) == 0 {
		return
	}
	fmt.Fprintf(b, "**%s**\n\n| caller | callee | method |\n|---|---|---|\n", title)
	for _, cell := range cells {
		fmt.Fprintf(b, "| %s | %s | `%s` |\n", cell.Caller, cell.Callee, cmp.Or(cell.Path, "connection"))
	}
	b.WriteByte('\n')
}

func list(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "**%s**\n\n", title)
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", line)
	}
	b.WriteByte('\n')
}

func (d Diff) summary() string {
	summary := fmt.Sprintf("%d newly allowed, %d taken away; %d stay allowed, %d stay denied, %d new and denied.",
		len(d.Allowed), len(d.Taken), d.Still, d.Denied, d.New)
	if len(d.Granted)+len(d.Revoked) > 0 {
		summary += fmt.Sprintf("\nBeside calls: %d newly given, %d taken away.", len(d.Granted), len(d.Revoked))
	}
	return summary
}
