package verify

import (
	"context"
	"errors"
	"net"
	"slices"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// matrix makes the questions.
type matrix struct {
	*ground
	def *mesh.Definition
}

// callers are every program and every backing service; the latter may call nobody.
func callers(def *mesh.Definition) []string {
	var names []string
	for _, p := range def.Programs {
		names = append(names, p.Name)
	}
	for _, b := range def.Backings {
		names = append(names, b.Name)
	}
	return names
}

func (m *matrix) probes() ([]probe, error) {
	var all []probe
	for _, callee := range m.callees {
		all = append(all, m.callee(callee)...)
	}
	for _, caller := range m.callers {
		for _, upstream := range caller.program.Upstreams {
			all = append(all, m.through(caller, upstream)...)
		}
	}
	for _, d := range m.doors {
		for _, service := range m.named() {
			all = append(all, d.probes(service, m.foreign(service.program))...)
		}
	}
	if len(m.def.Programs) == 0 {
		return nil, errors.New("the mesh definition has no programs: nothing can be verified")
	}
	return append(all, m.more...), nil
}

// named are all instances, and one by its name alone of each program of which none was found: what
// Consul has of it nobody may have either.
func (m *matrix) named() []instance {
	all := slices.Clone(m.callees)
	for _, program := range callers(m.def) {
		if !slices.ContainsFunc(all, func(i instance) bool { return i.program == program }) {
			all = append(all, instance{program: program, name: program, id: m.roots.mesh.Prefix.Service(program), node: unplaced})
		}
	}
	return all
}

// unplaced is no node of anybody's.
const unplaced = "-"

// callee are the questions to one instance.
func (m *matrix) callee(to instance) []probe {
	if len(m.own) == 0 {
		return nil // nobody can be asked as
	}
	var all []probe
	if backing, err := m.def.Backing(to.program); err == nil {
		for _, caller := range callers(m.def) {
			all = append(all, m.connect(caller, to, backing))
		}
		return append(all, m.strangers(to, sslRequest)...)
	}
	for _, caller := range callers(m.def) {
		for _, method := range m.methodsOf(to.program) {
			all = append(all, m.call(caller, to, method))
		}
	}
	return append(all, m.strangers(to, preface)...)
}

// methodsOf are the methods of a program and one that no contract mentions. Nobody may ask the edge anything through the mesh.
func (m *matrix) methodsOf(program string) []mesh.Method {
	var own []mesh.Method
	for _, method := range m.def.Methods {
		if method.Callee == program {
			own = append(own, method)
		}
	}
	return append(own, mesh.Method{Path: rawcall.Nobody, Callee: program})
}

// call asks at the callee's public port.
func (m *matrix) call(caller string, to instance, method mesh.Method) probe {
	edge := m.def.IsEdge(to.program)
	return probe{
		Caller: caller, Callee: to.program, Instance: to.name, Path: method.Path, Way: Public, Want: want(method.Callers, caller), needs: []string{to.name},
		ask: func(ctx context.Context) (Verdict, string) {
			config := m.roots.client(m.own[caller], to.program)
			if edge {
				return overHTTP(ctx, to.public, method.Path, config)
			}
			header, err := rawcall.TLS(ctx, to.public, method.Path, config)
			return classify(header, err)
		},
	}
}

// connect opens a connection to a backing service's public port.
func (m *matrix) connect(caller string, to instance, backing mesh.Backing) probe {
	return probe{
		Caller: caller, Callee: to.program, Instance: to.name, Way: Public, Want: want(backing.Callers, caller), needs: []string{to.name},
		ask: func(ctx context.Context) (Verdict, string) {
			return speak(ctx, (&net.Dialer{}).DialContext, to.public, m.roots.client(m.own[caller], to.program), sslRequest)
		},
	}
}

// through asks through the caller's own sidecar, which has a listener only for callees of which something is allowed.
func (m *matrix) through(from sidecar, upstream mesh.Upstream) []probe {
	address := from.address(upstream.Port)
	if upstream.Protocol == "tcp" {
		return []probe{{
			Caller: from.program.Name, Callee: upstream.Name, Instance: from.name, Way: Sidecar, Want: Passed, needs: []string{from.name},
			ask: func(ctx context.Context) (Verdict, string) { return speak(ctx, from.dial, address, nil, sslRequest) },
		}}
	}
	var all []probe
	for _, method := range m.methodsOf(upstream.Name) {
		all = append(all, probe{
			Caller: from.program.Name, Callee: upstream.Name, Instance: from.name, Path: method.Path, Way: Sidecar, Want: want(method.Callers, from.program.Name), needs: []string{from.name},
			ask: func(ctx context.Context) (Verdict, string) {
				header, err := rawcall.Through(ctx, from.dial, address, method.Path)
				return classify(header, err)
			},
		})
	}
	return all
}

// strangers are connections without a certificate of this mesh.
func (m *matrix) strangers(to instance, hello []byte) []probe {
	dial := (&net.Dialer{}).DialContext
	kind := func(name string, ask func(ctx context.Context) (Verdict, string)) probe {
		return probe{Caller: name, Callee: to.program, Instance: to.name, Way: Stranger, Want: Refused, needs: []string{to.name}, ask: ask}
	}
	return []probe{
		kind("plain TCP", func(ctx context.Context) (Verdict, string) { return speak(ctx, dial, to.public, nil, hello) }),
		kind("TLS without a certificate", func(ctx context.Context) (Verdict, string) {
			return speak(ctx, dial, to.public, m.roots.client(identity{}, to.program), hello)
		}),
		kind("TLS with a certificate of its own making", func(ctx context.Context) (Verdict, string) {
			forged, err := selfSigned(m.own[callers(m.def)[0]])
			if err != nil {
				return Broken, err.Error()
			}
			return speak(ctx, dial, to.public, m.roots.client(forged, to.program), hello)
		}),
	}
}

func want(allowed []string, caller string) Verdict {
	if slices.Contains(allowed, caller) {
		return Passed
	}
	return Refused
}
