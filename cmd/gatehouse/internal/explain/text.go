package explain

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Text writes the answers for a terminal: one in full, several as a table. asked names what runs;
// it is empty when nothing was asked.
func Text(w io.Writer, answers []Answer, asked string) error {
	var b strings.Builder
	if len(answers) == 1 {
		answers[0].full(&b, asked)
	} else {
		list(&b, answers, asked)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func word(allowed bool) string {
	if allowed {
		return "allowed"
	}
	return "denied"
}

// full is one answer in paragraphs, each line with its place.
func (a Answer) full(b *strings.Builder, asked string) {
	fmt.Fprintf(b, "%s -> %s of %s: %s\n", a.Caller, cmp.Or(a.Path, "connections"), a.Callee, word(a.Allowed))
	for _, line := range a.Contract {
		paragraph(b, "contract", line.Says, line.Where)
	}
	paragraph(b, "entry", a.Entry.Entry+", "+a.Entry.Says, a.Entry.Where)
	if a.Running != nil {
		paragraph(b, "running", a.running(asked), "")
	}
}

func paragraph(b *strings.Builder, title, says, where string) {
	fmt.Fprintf(b, "  %-9s %s\n", title, says)
	if where != "" {
		fmt.Fprintf(b, "  %-9s %s\n", "", where)
	}
}

// running is what the running entry says, beside the definition's.
func (a Answer) running(asked string) string {
	r := a.Running
	if r.Entry == "" {
		return fmt.Sprintf("%s, %s: %s", word(r.Allowed), asked, r.Says)
	}
	var said string
	switch {
	case r.Unsure:
		said = fmt.Sprintf("%s for some requests only, UNLIKE the definition", word(r.Allowed))
	case a.Differs():
		said = word(r.Allowed) + ", UNLIKE the definition"
	default:
		said = word(r.Allowed)
	}
	said += fmt.Sprintf(", in %s: %s, %s", asked, r.Entry, r.Says)
	if r.Denied != "" {
		said += fmt.Sprintf(" (denied by hand: %s)", r.Denied)
	}
	return said
}

// list is a table of all methods of one callee.
func list(b *strings.Builder, answers []Answer, asked string) {
	allowed := 0
	for _, a := range answers {
		if a.Allowed {
			allowed++
		}
	}
	fmt.Fprintf(b, "%s -> %s: %d of %d methods are allowed\n", answers[0].Caller, answers[0].Callee, allowed, len(answers))
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, a := range answers {
		place := a.Entry.Where
		if last := len(a.Contract) - 1; last >= 0 {
			place = cmp.Or(a.Contract[0].Where, a.Contract[last].Where, place)
		}
		differs := ""
		if a.Differs() {
			differs = "RUNNING: " + word(a.Running.Allowed)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", word(a.Allowed), a.Path, place, differs)
	}
	_ = table.Flush() // a strings.Builder takes everything
	if asked != "" {
		fmt.Fprintf(b, "%s was asked: what it decides otherwise is marked RUNNING\n", asked)
	}
}
