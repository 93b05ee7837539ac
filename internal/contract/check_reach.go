package contract

import "slices"

// reach checks that a program calls what its own methods and relationships make its server call:
// the decision, where a method asks for permissions; the trail, where one makes events or refuses
// people, which is an event too; the method that takes relationships, where the program writes
// some. Else the mesh would refuse the call with the first request. What the program serves itself,
// and what these files have not, it need not call.
func (k *checker) reach() {
	var keepers []*Method
	for _, m := range k.contract.Methods() {
		if m.Audit.Trail {
			keepers = append(keepers, m)
		}
	}
	decision, relationships := k.onDuty(Decision), k.onDuty(Relationships)
	for _, p := range k.contract.Programs {
		asks := func(m *Method) bool { return m.Has(Permission) }
		k.mustCall(p, decision, asks, "asks for permissions")
		if len(keepers) > 0 && !slices.ContainsFunc(keepers, p.reaches) {
			records := func(m *Method) bool { return m.Audit.Action != "" || m.Has(Permission) || m.Has(Self) }
			k.mustCall(p, keepers[0], records, "is recorded")
		}
		if len(p.Relationships) > 0 && relationships != nil && !p.reaches(relationships) {
			k.report(inFile(p.file, programRelationships, 0), "%s writes relationships, but does not call %s: add it to calls", p.Name, relationships.display())
		}
	}
}

// onDuty returns the one method that has a duty, nil when these files have none.
func (k *checker) onDuty(duty Duty) *Method {
	var first *Method
	for _, m := range k.contract.Methods() {
		switch where := in(m.Descriptor, methodDuty); {
		case m.Duty != duty:
			continue
		case first != nil:
			k.report(where, "%s has the duty of %s at %s: remove it from one of them", m.display(), first.display(), in(first.Descriptor, methodDuty))
			continue
		case !m.Has(Service):
			k.report(where, "%s has a duty and is called by programs only: say access service", m.display())
		}
		first = m
	}
	return first
}

// mustCall reports a program that does not reach the callee although one of its methods is of the kind.
func (k *checker) mustCall(p Program, callee *Method, kind func(*Method) bool, does string) {
	if callee == nil || p.reaches(callee) {
		return
	}
	for _, m := range k.contract.Methods() {
		if m.Program == p.Name && kind(m) {
			k.report(inFile(p.file, programCalls), "%s at %s %s, but %s does not call %s: add it to calls",
				m.display(), at(m.Descriptor), does, p.Name, callee.display())
			return // one call is enough for all
		}
	}
}

// reaches reports whether the program calls a method or serves it itself.
func (p Program) reaches(m *Method) bool {
	return m.Program == p.Name || slices.Contains(p.Calls, m.FullName)
}
