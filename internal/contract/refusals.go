package contract

import (
	"cmp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gatehouse/gatehouse/internal/apierr"
)

// Refusals are the reasons that whoever calls the method has to reckon with, by status and name:
// those that it states and those that follow from the rest of its contract. Defects and outages,
// which any method may answer with, and what a door refuses before the call are not among them.
func (c *Contract) Refusals(m *Method) []Reason {
	all := m.implied()
	for _, name := range m.Reasons {
		all = append(all, c.stated(m, name)...)
	}
	slices.SortStableFunc(all, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(a.Error().Status(), b.Error().Status()), strings.Compare(a.Name, b.Name))
	})
	return slices.CompactFunc(all, func(a, b Reason) bool { return a.Name == b.Name && a.Error().Status() == b.Error().Status() })
}

// stated finds a reason by its name: the method's program comes first, then the kernel, which may
// have two rows of one, then the programs that it calls.
func (c *Contract) stated(m *Method, name string) []Reason {
	own, _ := c.Program(m.Program)
	if r, ok := own.reason(name); ok {
		return []Reason{r}
	}
	var rows []Reason
	for _, e := range apierr.Kernel() {
		if e.Reason == name {
			rows = append(rows, reasonOf(e))
		}
	}
	if len(rows) > 0 {
		return rows
	}
	for _, call := range own.Calls {
		callee, known := c.Method(call)
		if !known {
			continue
		}
		p, _ := c.Program(callee.Program)
		if r, ok := p.reason(name); ok {
			return []Reason{r}
		}
	}
	return nil
}

func (p Program) reason(name string) (Reason, bool) {
	for _, r := range p.Reasons {
		if r.Name == name {
			return r, true
		}
	}
	return Reason{}, false
}

func reasonOf(e *apierr.Error) Reason {
	return Reason{Name: e.Reason, Kind: e.Kind, HTTPStatus: e.HTTPStatus, Sentence: e.Message}
}

// implied are the refusals that follow from access, noun and fields. They are what the servers'
// chain answers by itself (internal/access, internal/server/grpc).
func (m *Method) implied() []Reason {
	var all []Reason
	kernel := func(errors ...*apierr.Error) {
		for _, e := range errors {
			all = append(all, reasonOf(e))
		}
	}
	if !m.Has(Public) && !m.Has(Service) {
		kernel(apierr.TokenRequired(), apierr.InvalidToken(), apierr.TokenExpired(), apierr.TokenRevoked(), apierr.InvalidConsistencyToken())
	}
	if m.FreshSignIn {
		kernel(apierr.FreshSignInRequired())
	}
	if m.Has(Permission) {
		kernel(apierr.NotFreshEnough())
	}
	for _, a := range m.Access {
		switch {
		case a.Kind == Permission && a.Field != "":
			all = append(all, NotFoundReason(a.ObjectType))
		case a.Kind == Permission:
			kernel(apierr.PermissionDeniedError())
		}
	}
	if m.LongLived && m.Has(Permission) { // a right that ends while the stream runs
		kernel(apierr.PermissionDeniedError())
	}
	if m.needsNoun() {
		all = append(all, NotFoundReason(cmp.Or(m.Noun, "object")))
	}
	fields := m.Descriptor.Input().Fields()
	if fields.Len() > 0 {
		kernel(apierr.InvalidArgumentError())
	}
	if etag := fields.ByName("etag"); etag != nil && etag.Kind() == protoreflect.StringKind {
		kernel(apierr.ETagMismatch())
	}
	return all
}
