package verify

import (
	"cmp"
	"fmt"
	"slices"
)

// without takes out what was no question, and the answers that instances which have ended meanwhile have to do with, and says
// that their questions were not tried: whether they would have passed nobody knows. What was let
// through that must not be stays.
func (r *Report) without(g *ground, ended []string) {
	lost := map[string]int{}
	r.Results = slices.DeleteFunc(r.Results, func(result Result) bool {
		if result.Got == Unasked {
			r.Untried = append(r.Untried, fmt.Sprintf("%s -> %s by the %s: %s", result.Caller, cmp.Or(result.Path, result.Callee), result.Way, result.Answer))
			return true
		}
		i := slices.IndexFunc(ended, func(name string) bool { return result.dependsOn(g, name) })
		if i < 0 || result.Got == Passed && result.Want == Refused {
			return false
		}
		lost[ended[i]]++
		return true
	})
	for _, name := range ended {
		r.Untried = append(r.Untried, fmt.Sprintf("%d questions to %s or by it: it has ended meanwhile", lost[name], name))
	}
}

// dependsOn reports whether the end of an instance may have decided the answer: it was asked, or
// asked itself, or a sidecar may have sent the call to it that got no answer.
func (r Result) dependsOn(g *ground, name string) bool {
	if slices.Contains(r.needs, name) {
		return true
	}
	return r.Way == Sidecar && r.Got == Broken && slices.ContainsFunc(g.callees, func(one instance) bool { return one.name == name && one.program == r.Callee })
}
