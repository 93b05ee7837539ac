package contract

import "slices"

// decision is the method that answers permissions. It is known by its name; the method that keeps the trail says so (audit: trail).
const decision = "/gatehouse.authz.v1.AuthzService/BatchCheck"

// reach checks that a program calls what its own methods make its server call: the decision, where one asks for permissions; the trail,
// where one makes events or refuses people, which is an event too. Else the mesh would refuse the call with the first request. What the
// program serves itself, and what these files have not, it need not call.
func (k *checker) reach() {
	var keepers []*Method
	for _, m := range k.contract.Methods() {
		if m.Audit.Trail {
			keepers = append(keepers, m)
		}
	}
	decider, _ := k.contract.Method(decision)
	for _, p := range k.contract.Programs {
		asks := func(m *Method) bool { return m.Has(Permission) }
		k.mustCall(p, decider, asks, "asks for permissions")
		if len(keepers) > 0 && !slices.ContainsFunc(keepers, p.reaches) {
			records := func(m *Method) bool { return m.Audit.Action != "" || m.Has(Permission) || m.Has(Self) }
			k.mustCall(p, keepers[0], records, "is recorded")
		}
	}
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
			return // one call mends all
		}
	}
}

// reaches reports whether the program calls a method or serves it itself.
func (p Program) reaches(m *Method) bool {
	return m.Program == p.Name || slices.Contains(p.Calls, m.FullName)
}
