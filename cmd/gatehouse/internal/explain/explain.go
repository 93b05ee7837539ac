package explain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/intentions"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// Line is a sentence with the place that it is about.
type Line struct {
	Says  string `json:"says"`
	Where string `json:"where,omitempty"` // file:line; empty where nobody knows
}

// Rule is what an entry says of the call.
type Rule struct {
	Allowed bool   `json:"allowed"`
	Unsure  bool   `json:"unsure,omitempty"` // it depends on headers or a token of the request
	Entry   string `json:"entry,omitempty"`  // "service-intentions/authz"; empty when none decides
	Says    string `json:"says"`
	Where   string `json:"where,omitempty"`  // file:line of the generated entry
	Denied  string `json:"denied,omitempty"` // when, by whom and why it was denied by hand
}

// Answer is why one call is allowed or denied.
type Answer struct {
	Caller   string `json:"caller"`
	Callee   string `json:"callee"`
	Path     string `json:"path,omitempty"` // empty for a connection
	Allowed  bool   `json:"allowed"`        // by the definition
	Contract []Line `json:"contract"`
	Entry    Rule   `json:"entry"`             // as the definition has it
	Running  *Rule  `json:"running,omitempty"` // as Consul has it; absent when none was asked
}

// Differs reports that what runs decides otherwise than the definition.
func (a Answer) Differs() bool {
	return a.Running != nil && (a.Running.Allowed != a.Allowed || a.Running.Unsure)
}

// Definition is what answers follow from.
type Definition struct {
	*mesh.Definition
	Sources *mesh.Sources // nil where nobody knows them
	Folder  string        // of the files of the config entries, as it is shown
}

// Live is the part of a Consul that decides about one callee.
type Live struct {
	Own, All *api.ServiceIntentionsConfigEntry // of the callee and of all services; nil without
	Service  func(program string) string       // name in Consul
}

// Answers are those to a question: one for a method or connection, one for each method otherwise.
// live is nil where no Consul is asked.
func (d Definition) Answers(q Question, live *Live) ([]Answer, error) {
	all := []string{q.Path}
	if q.Path == "" {
		if methods := paths(d.Definition, q.Callee); len(methods) > 0 {
			all = methods
		}
	}
	var own *api.ServiceIntentionsConfigEntry
	for _, entry := range registry.ConfigEntries(d.Definition, "") {
		if e, ok := entry.(*api.ServiceIntentionsConfigEntry); ok && e.Name == q.Callee {
			own = e
		}
	}
	if own == nil {
		return nil, fmt.Errorf("the definition has no rules for calls to %s", q.Callee)
	}
	answers := make([]Answer, 0, len(all))
	for _, path := range all {
		decision := intentions.Decide(own, nil, q.Caller, path)
		a := Answer{
			Caller: q.Caller, Callee: q.Callee, Path: path, Allowed: decision.Allowed,
			Contract: d.contract(q.Caller, q.Callee, path), Entry: ruleOf(decision, q.Caller),
		}
		var err error
		if a.Entry.Where, err = d.line(own, decision); err != nil {
			return nil, err
		}
		if live != nil {
			caller := live.Service(q.Caller)
			rule := ruleOf(intentions.Decide(live.Own, live.All, caller, path), caller)
			rule.Denied = intentions.Marked(live.Own, caller, path)
			a.Running = &rule
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func ruleOf(d intentions.Decision, caller string) Rule {
	r := Rule{Allowed: d.Allowed, Unsure: d.Unsure, Says: d.Says}
	if d.Entry == "" {
		return r
	}
	r.Entry = api.ServiceIntentions + "/" + d.Entry
	source := "source " + caller
	if d.Source == intentions.Everybody {
		source = "source * (everybody else)"
	}
	if d.Permission > 0 {
		source += fmt.Sprintf(", permission %d of %d", d.Permission, d.Of)
	}
	r.Says = source + ": " + d.Says
	return r
}

// contract says what the contracts of both sides have to do with it.
func (d Definition) contract(caller, callee, path string) []Line {
	sources := d.Sources
	if sources == nil {
		sources = &mesh.Sources{}
	}
	from, to := sources.Programs[caller], sources.Methods[path]
	program, err := d.Program(caller)
	switch {
	case err != nil:
		return []Line{{Says: caller + " is no program of ours: it has no contract and calls nobody"}}
	case caller == callee:
		return []Line{{Says: caller + " does not call itself through the mesh", Where: from.Calls}}
	case path == "":
		return []Line{d.connects(program, callee, from)}
	case program.Edge && to.Route != "":
		return []Line{{Says: caller + " is the edge: it calls every method that has a route", Where: to.Route}}
	case program.Edge && !d.Admits(path, caller):
		return []Line{{Says: caller + " is the edge: it calls methods that have a route, or that it declares, and this one it does not", Where: to.At}}
	}
	lines := []Line{{Says: caller + " does not declare the call: it would have to be among its calls", Where: from.Calls}}
	if where, ok := from.Said[path]; ok || sources.Programs == nil && d.Admits(path, caller) {
		lines[0] = Line{Says: caller + " declares the call", Where: where}
	}
	if where, ok := to.Consent(caller); ok || sources.Methods == nil && d.Admits(path, caller) {
		consents := Line{Says: callee + " consents to " + caller, Where: where}
		if _, named := to.Said[caller]; !named && to.Said[contract.EveryService] != "" {
			consents.Says = callee + " consents to every service that declares it"
		}
		return append(lines, consents)
	}
	return append(lines, Line{Says: fmt.Sprintf("%s does not consent: %q would have to be in its allow", callee, caller), Where: to.Allow})
}

// connects says what a program's contract has to do with a callee that has no methods.
func (d Definition) connects(p mesh.Program, callee string, from mesh.ProgramSource) Line {
	backing, err := d.Backing(callee)
	switch {
	case err != nil:
		return Line{Says: callee + " is no callee of the mesh: it serves no gRPC methods"}
	case slices.Contains(backing.Callers, p.Name):
		return Line{Says: p.Name + " needs " + callee, Where: from.Said[callee]}
	default:
		return Line{Says: p.Name + " does not need " + callee + ": it would have to be among its needs", Where: from.Needs}
	}
}

// line is where the generated file of an entry has the deciding rule.
func (d Definition) line(entry *api.ServiceIntentionsConfigEntry, decision intentions.Decision) (string, error) {
	text, err := registry.EncodeEntry(entry)
	if err != nil {
		return "", err
	}
	source := slices.IndexFunc(entry.Sources, func(s *api.SourceIntention) bool { return s.Name == decision.Source })
	steps := []any{"Sources", source}
	if decision.Permission > 0 {
		steps = append(steps, "Permissions", decision.Permission-1)
	}
	offset := find(json.NewDecoder(bytes.NewReader(text)), steps)
	return fmt.Sprintf("%s/%s:%d", d.Folder, registry.EntryFile(entry), 1+bytes.Count(text[:offset], []byte("\n"))), nil
}

// find returns where in a JSON text the first token of the value at the path ends, 0 without one.
func find(d *json.Decoder, path []any) int64 {
	first, err := d.Token()
	if err != nil {
		return 0
	}
	if len(path) == 0 {
		return d.InputOffset()
	}
	for i := 0; d.More(); i++ {
		var here any = i
		if first == json.Delim('{') {
			if here, err = d.Token(); err != nil {
				return 0
			}
		}
		if here == path[0] {
			return find(d, path[1:])
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return 0
		}
	}
	return 0
}
