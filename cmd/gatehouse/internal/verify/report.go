package verify

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Result is one question with its answer.
type Result struct {
	Caller string `json:"caller"`
	Callee string `json:"callee"`

	Instance string `json:"instance,omitempty"` // of the callee, or of the caller where its own sidecar was asked

	Path   string  `json:"path,omitempty"`
	Way    Way     `json:"way"`
	Want   Verdict `json:"want"`
	Got    Verdict `json:"got"`
	Answer string  `json:"answer"`

	needs []string // instances without which there is no answer
}

// Report is the outcome of a verification.
type Report struct {
	Cells       int      `json:"cells"`       // of the definition, and one unlisted method per program, at the public ports
	Allowed     int      `json:"allowed"`     // of these
	Denied      int      `json:"denied"`      // of these
	Sidecars    int      `json:"sidecars"`    // asked again through the callers' own sidecars
	Strangers   int      `json:"strangers"`   // connections without a mesh certificate
	Agent       int      `json:"agent"`       // questions to Consul's agent without a certificate, without a token or with another's
	Templates   int      `json:"templates"`   // asked for certificates
	Allocations int      `json:"allocations"` // whose sockets were looked at
	Untried     []string `json:"untried"`     // what could not be tried, one sentence each: it has not passed
	Wrong       []string `json:"wrong"`       // one sentence each
	Listening   []string `json:"listening"`   // sockets open to other machines; each is wrong
	Warnings    []string `json:"warnings"`
	Results     []Result `json:"results"`
	callers     []string
}

// OK reports whether everything that was tried is as the definition says.
func (r *Report) OK() bool { return len(r.Wrong) == 0 && len(r.Listening) == 0 }

// Whole reports whether everything was tried.
func (r *Report) Whole() bool { return len(r.Untried) == 0 }

func (r *Report) conclude(def *mesh.Definition) {
	cells := map[[3]string]Verdict{} // at whichever instances they were tried
	for _, result := range r.Results {
		switch result.Way {
		case Stranger:
			r.Strangers++
		case Agent:
			r.Agent++
		case Template:
			r.Templates++
		case Sidecar:
			r.Sidecars++
		case Public:
			cells[[3]string{result.Caller, result.Callee, result.Path}] = result.Want
		}
		if result.Got != result.Want {
			r.Wrong = append(r.Wrong, result.sentence())
		}
	}
	for _, want := range cells {
		if want == Passed {
			r.Allowed++
		}
	}
	r.Cells = len(cells)
	r.Denied = r.Cells - r.Allowed
	r.callers = callers(def)
}

func (r Result) sentence() string {
	at := ""
	if r.Instance != "" && r.Instance != r.Callee && r.Instance != r.Caller {
		at = " (" + r.Instance + ")"
	}
	return fmt.Sprintf("%s -> %s by the %s%s must be %s and was %s (%s)", r.Caller, cmp.Or(r.Path, r.Callee), r.Way, at, r.Want, r.Got, r.Answer)
}

// Text writes the report for a terminal: a table for each callee, then the counts and what is wrong.
func (r *Report) Text(w io.Writer) error {
	for _, callee := range r.callees() {
		if err := r.table(w, callee); err != nil {
			return err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells (%d allowed, %d denied), %d again through the callers' own sidecars, %d connections without a mesh certificate, "+
		"%d questions to Consul without a certificate, without a token or with another's\n",
		r.Cells, r.Allowed, r.Denied, r.Sidecars, r.Strangers, r.Agent)
	if r.Templates > 0 {
		fmt.Fprintf(&b, "%d templates of a foreign job asked for certificates\n", r.Templates)
	}
	if r.Allocations > 0 {
		fmt.Fprintf(&b, "the listening sockets of %d allocations\n", r.Allocations)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", warning)
	}
	for _, wrong := range append(slices.Clone(r.Wrong), r.Listening...) {
		fmt.Fprintf(&b, "WRONG: %s\n", wrong)
	}
	for _, untried := range r.Untried {
		fmt.Fprintf(&b, "NOT TRIED: %s\n", untried)
	}
	switch {
	case r.OK() && r.Whole():
		b.WriteString("everything is as the definition says\n")
	case r.OK():
		fmt.Fprintf(&b, "what was tried is as the definition says; %d things were not tried\n", len(r.Untried))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) callees() []string {
	var names []string
	for _, result := range r.Results {
		if !slices.Contains(names, result.Callee) {
			names = append(names, result.Callee)
		}
	}
	return names
}

// table shows one callee at its public port: a row per method, a column per caller.
func (r *Report) table(w io.Writer, callee string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\t%s\n", strings.ToUpper(callee), strings.Join(r.callers, "\t"))
	var paths []string
	for _, result := range r.Results {
		if result.Callee == callee && result.Way == Public && !slices.Contains(paths, result.Path) {
			paths = append(paths, result.Path)
		}
	}
	for _, path := range paths {
		fmt.Fprintf(table, "  %s", label(path))
		for _, caller := range r.callers {
			fmt.Fprintf(table, "\t%s", r.mark(caller, callee, path))
		}
		fmt.Fprintln(table)
	}
	fmt.Fprintln(table)
	return table.Flush()
}

func label(path string) string {
	switch path {
	case "":
		return "connection"
	case rawcall.Nobody:
		return "(any other method)"
	default:
		return strings.TrimPrefix(path, "/")
	}
}

// mark is the sign of one cell over all ways it was tried.
func (r *Report) mark(caller, callee, path string) string {
	sign := "?"
	for _, result := range r.Results {
		if result.Caller != caller || result.Callee != callee || result.Path != path || result.Way == Stranger {
			continue
		}
		switch {
		case result.Got != result.Want:
			return "WRONG"
		case result.Want == Passed:
			sign = "allowed"
		default:
			sign = "-"
		}
	}
	return sign
}
