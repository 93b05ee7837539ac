package contract

import (
	"regexp"
	"slices"

	"github.com/gatehouse/gatehouse/internal/apierr"
	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

var reasonForm = regexp.MustCompile(`^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$`)

// Bounds of what a reason says.
const (
	maxReason   = 63 // characters of google.rpc.ErrorInfo.reason
	maxSentence = 200
)

// reasons checks what each program states of its answers.
func (k *checker) reasons() {
	for _, p := range k.contract.Programs {
		options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
		seen := map[string]Position{}
		for i, r := range options.GetReasons() {
			k.reason(p, r, int32(i), seen)
		}
	}
}

// refusals checks that what a method states of its refusals is stated somewhere, and only here.
func (k *checker) refusals(m *Method) {
	for i, name := range m.Reasons {
		where := in(m.Descriptor, methodReasons, int32(i))
		switch {
		case slices.Contains(m.Reasons[:i], name):
			k.report(where, "%s states the reason %s twice: remove one", m.display(), name)
		case len(k.contract.stated(m, name)) == 0:
			k.report(where, "%s is a reason of neither %s, nor a program that it calls, nor the kernel: correct the name, or add it to reasons of the program",
				name, m.Program)
		case slices.ContainsFunc(m.implied(), func(r Reason) bool { return r.Name == name }):
			k.report(where, "%s follows from what else %s says: remove it", name, m.display())
		}
	}
}

func (k *checker) reason(p Program, r *optionsv1.Reason, i int32, seen map[string]Position) {
	where := inFile(p.file, programReasons, i, reasonName)
	switch other, twice := seen[r.GetName()]; {
	case !reasonForm.MatchString(r.GetName()) || len(r.GetName()) > maxReason:
		k.report(where, "%q is not a reason: write UPPER_SNAKE of at most %d characters, such as EMAIL_TAKEN", r.GetName(), maxReason)
	case kernelReason(r.GetName()):
		k.report(where, "the kernel answers with %s (internal/apierr): use its constructor, or choose another name", r.GetName())
	case twice:
		k.report(where, "%s states the reason %s at %s: keep one", p.Name, r.GetName(), other)
	}
	seen[r.GetName()] = where
	if loadReasons([]*optionsv1.Reason{r})[0].Kind == apierr.Internal {
		k.report(inFile(p.file, programReasons, i, reasonKind), "the reason %s has no kind: say one, such as KIND_FAILED_PRECONDITION", r.GetName())
	}
	if status := r.GetHttpStatus(); status != 0 && (status < 400 || status > 599) {
		k.report(inFile(p.file, programReasons, i, reasonStatus), "the reason %s has HTTP status %d: say one from 400 to 599, or none", r.GetName(), status)
	}
	if n := len(r.GetSentence()); n == 0 || n > maxSentence {
		k.report(inFile(p.file, programReasons, i, reasonSentence), "the reason %s needs a sentence for people, of at most %d characters", r.GetName(), maxSentence)
	}
}
