package verify

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/rawcall"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// matrix makes the questions.
type matrix struct {
	record state.Record
	def    *mesh.Definition
	own    map[string]identity // by mesh name
	roots  roots

	consul *api.Client       // with the operator's token
	tokens map[string]string // by mesh name
	door   door
}

// callers are every program and every backing service; the latter may call nobody.
func (m *matrix) callers() []string {
	var names []string
	for _, p := range m.def.Programs {
		names = append(names, p.Name)
	}
	for _, b := range m.def.Backings {
		names = append(names, b.Name)
	}
	return names
}

// instances are those of all programs. An instance is asked as its program; in the report it has a
// name of its own.
func (m *matrix) instances() []mesh.Instance { return m.def.Instances(m.record.Scale) }

func (m *matrix) probes() ([]probe, error) {
	var all []probe
	for _, callee := range m.instances() {
		for _, caller := range m.callers() {
			for _, method := range m.methodsOf(callee.Name) {
				all = append(all, m.call(caller, callee, method))
			}
		}
		all = append(all, m.strangers(callee.ID(), callee.Name, callee.Public, preface)...)
	}
	for _, callee := range m.def.Backings {
		for _, caller := range m.callers() {
			all = append(all, m.connect(caller, callee))
		}
		all = append(all, m.strangers(callee.Name, callee.Name, callee.Public, sslRequest)...)
	}
	for _, caller := range m.instances() {
		for _, upstream := range caller.Upstreams {
			all = append(all, m.through(caller.ID(), caller.Name, upstream)...)
		}
	}
	for i, service := range m.callers() {
		foreign := m.callers()[(i+1)%len(m.callers())]
		for number := range m.record.Scale.Of(service) {
			all = append(all, m.door.probes(service, mesh.InstanceID(service, number+1), m.tokens[foreign])...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the mesh definition has no programs: nothing can be verified")
	}
	return all, nil
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
func (m *matrix) call(caller string, callee mesh.Instance, method mesh.Method) probe {
	return probe{
		Caller: caller, Callee: callee.ID(), Path: method.Path, Way: Public, Want: want(method.Callers, caller),
		ask: func(ctx context.Context) (Verdict, string) {
			config := m.roots.client(m.own[caller], callee.Name)
			if callee.Edge {
				return overHTTP(ctx, m.address(callee.Public), method.Path, config)
			}
			header, err := rawcall.TLS(ctx, m.address(callee.Public), method.Path, config)
			return classify(header, err)
		},
	}
}

// connect opens a connection to a backing service's public port.
func (m *matrix) connect(caller string, callee mesh.Backing) probe {
	return probe{
		Caller: caller, Callee: callee.Name, Way: Public, Want: want(callee.Callers, caller),
		ask: func(ctx context.Context) (Verdict, string) {
			return speak(ctx, m.address(callee.Public), m.roots.client(m.own[caller], callee.Name), sslRequest)
		},
	}
}

// through asks through the caller's own sidecar, which has a listener only for callees of which something is allowed.
func (m *matrix) through(caller, program string, upstream mesh.Upstream) []probe {
	address := m.address(upstream.Port)
	if upstream.Protocol == "tcp" {
		return []probe{{
			Caller: caller, Callee: upstream.Name, Way: Sidecar, Want: Passed,
			ask: func(ctx context.Context) (Verdict, string) { return speak(ctx, address, nil, sslRequest) },
		}}
	}
	var all []probe
	for _, method := range m.methodsOf(upstream.Name) {
		all = append(all, probe{
			Caller: caller, Callee: upstream.Name, Path: method.Path, Way: Sidecar, Want: want(method.Callers, program),
			ask: func(ctx context.Context) (Verdict, string) {
				header, err := rawcall.Plain(ctx, address, method.Path)
				return classify(header, err)
			},
		})
	}
	return all
}

// strangers are connections without a certificate of this mesh.
func (m *matrix) strangers(callee, program string, public int, hello []byte) []probe {
	address := m.address(public)
	kind := func(name string, ask func(ctx context.Context) (Verdict, string)) probe {
		return probe{Caller: name, Callee: callee, Way: Stranger, Want: Refused, ask: ask}
	}
	return []probe{
		kind("plain TCP", func(ctx context.Context) (Verdict, string) { return speak(ctx, address, nil, hello) }),
		kind("TLS without a certificate", func(ctx context.Context) (Verdict, string) {
			return speak(ctx, address, m.roots.client(identity{}, program), hello)
		}),
		kind("TLS with a certificate of its own making", func(ctx context.Context) (Verdict, string) {
			forged, err := selfSigned(m.own[m.callers()[0]])
			if err != nil {
				return Broken, err.Error()
			}
			return speak(ctx, address, m.roots.client(forged, program), hello)
		}),
	}
}

func (m *matrix) address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port+m.record.Offset) }

func want(allowed []string, caller string) Verdict {
	if slices.Contains(allowed, caller) {
		return Passed
	}
	return Refused
}
