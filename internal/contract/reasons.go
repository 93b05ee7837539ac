package contract

import (
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/apierr"
	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// Reason is what a program answers with (internal/apierr).
type Reason struct {
	Name       string // UPPER_SNAKE
	Kind       apierr.Kind
	HTTPStatus int // where it is not that of the kind; 0 otherwise
	Sentence   string
}

// Error is the reason as the program answers with it.
func (r Reason) Error() *apierr.Error {
	return apierr.New(r.Kind, r.Name, r.Sentence).WithHTTPStatus(r.HTTPStatus)
}

// NotFoundReason is the reason of an unknown object, or one that must not be told from it: "user"
// is USER_NOT_FOUND, "no such user".
func NotFoundReason(noun string) Reason {
	return Reason{Name: upper(noun) + "_NOT_FOUND", Kind: apierr.NotFound, Sentence: "no such " + strings.ReplaceAll(noun, "_", " ")}
}

// unavailableReason is the reason where another program is needed and cannot be asked.
func unavailableReason(program string) Reason {
	return Reason{Name: upper(program) + "_UNAVAILABLE", Kind: apierr.Unavailable, Sentence: "the program " + program + " does not answer now"}
}

func upper(name string) string { return strings.ToUpper(strings.ReplaceAll(name, "-", "_")) }

// loadReasons reads what a program states. Kinds of options.proto are named like those of apierr.
func loadReasons(options []*optionsv1.Reason) []Reason {
	var reasons []Reason
	for _, o := range options {
		r := Reason{Name: o.GetName(), HTTPStatus: int(o.GetHttpStatus()), Sentence: o.GetSentence()}
		for _, kind := range apierr.Kinds() {
			if o.GetKind().String() == "KIND_"+kind.String() {
				r.Kind = kind
			}
		}
		reasons = append(reasons, r)
	}
	return reasons
}

// deriveReasons adds what follows from methods and calls. What the kernel's table has is the
// kernel's, also there.
func (c *Contract) deriveReasons() {
	for i := range c.Programs {
		p := &c.Programs[i]
		for _, r := range c.implied(*p) {
			if !kernelReason(r.Name) && !slices.ContainsFunc(p.Reasons, func(stated Reason) bool { return stated.Name == r.Name }) {
				p.Reasons = append(p.Reasons, r)
			}
		}
		slices.SortStableFunc(p.Reasons, func(a, b Reason) int { return strings.Compare(a.Name, b.Name) })
	}
}

func (c *Contract) implied(p Program) []Reason {
	var reasons []Reason
	for _, m := range c.Methods() {
		if slices.Contains(p.Calls, m.FullName) && !p.Edge && m.Program != "" {
			reasons = append(reasons, unavailableReason(m.Program))
		}
		if m.Program != p.Name {
			continue
		}
		if m.Noun != "" {
			reasons = append(reasons, NotFoundReason(m.Noun))
		}
		for _, a := range m.Access {
			if a.Kind == Permission && a.Field != "" {
				reasons = append(reasons, NotFoundReason(a.ObjectType))
			}
		}
	}
	return reasons
}

func kernelReason(name string) bool {
	return slices.ContainsFunc(apierr.Kernel(), func(e *apierr.Error) bool { return e.Reason == name })
}
