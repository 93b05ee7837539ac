package contract

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	optionsv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/options/v1"
)

// Bounds of the program option. The port layout of one machine (internal/mesh) has 20 slots, the last one for backing services.
const (
	firstPort = 8080
	lastPort  = 8098
)

var (
	nameForm   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`)
	callForm   = regexp.MustCompile(`^[a-z][A-Za-z0-9_.]*\.[A-Z][A-Za-z0-9]*/[A-Z][A-Za-z0-9]*$`)
	actionForm = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$`)
)

// Check says everything that is wrong with the contract as a whole, sorted by file and line; nothing is generated from a contract that
// has problems. It needs the files of all programs: seen alone, a program's calls have no callee.
//
// ours tells the project's own files from imported ones: an RPC in one of them must belong to a program. root is the folder of the
// protos, put before their paths.
func (c *Contract) Check(files Files, ours func(path string) bool, root string) []Problem {
	k := &checker{contract: c, root: root}
	k.programs()
	k.calls()
	k.edge()
	k.facts()
	k.relationships()
	k.reasons()
	k.reach()
	routes, exchanges := map[string]*Method{}, map[string]*Method{}
	for _, m := range c.Methods() {
		k.method(m)
		k.route(m, routes)
		k.exchange(m, exchanges)
		k.consent(m)
		k.refusals(m)
	}
	for _, file := range sortedFiles(files) {
		if ours(file.Path()) {
			k.served(file)
		}
	}
	sortProblems(k.problems)
	return slices.Compact(k.problems)
}

type checker struct {
	contract *Contract
	root     string
	problems []Problem
}

func (k *checker) report(where Position, format string, args ...any) {
	for i, arg := range args {
		if p, ok := arg.(Position); ok {
			args[i] = p.under(k.root)
		}
	}
	k.problems = append(k.problems, Problem{Position: where.under(k.root), Message: fmt.Sprintf(format, args...)})
}

// programs checks each program by itself and against the others' names and ports.
func (k *checker) programs() {
	names, ports := map[string]Program{}, map[int]Program{}
	for _, p := range k.contract.Programs {
		where := inFile(p.file, programName)
		switch other, twice := names[p.Name]; {
		case p.Name == "":
			k.report(where, "the program of package %s has no name: add name", p.Package)
		case !nameForm.MatchString(p.Name):
			k.report(where, "%q cannot be a mesh name: use lower-case letters, digits and hyphens, starting with a letter, at most 40", p.Name)
		case Reserved(p.Name):
			k.report(where, "the mesh name %q belongs to the platform below: choose another name", p.Name)
		case twice:
			k.report(where, "the name %q is taken by the program at %s: choose another name", p.Name, inFile(other.file, programName))
		}
		names[p.Name] = p
		where = inFile(p.file, programPort)
		switch other, twice := ports[p.Port]; {
		case p.Port < firstPort || p.Port > lastPort:
			k.report(where, "port %d of %s is outside the layout: choose one from %d to %d", p.Port, p.Name, firstPort, lastPort)
		case twice:
			k.report(where, "port %d is taken by %s at %s: choose another port", p.Port, other.Name, inFile(other.file, programPort))
		}
		ports[p.Port] = p
		k.needs(p)
	}
}

// Reserved reports whether a program may not have the name: Consul, Nomad, PostgreSQL or a process
// beside the programs has it, or variables of others begin with its first word.
func Reserved(name string) bool {
	first, _, _ := strings.Cut(name, "-")
	for value := range optionsv1.Backing_name {
		if first == backingName(optionsv1.Backing(value)) {
			return true
		}
	}
	return slices.Contains([]string{"consul", "nomad", "cli", "drain", "grpc", "log", "mail", "mesh", "rest", "telemetry", "test", "token", "url"}, first) ||
		slices.Contains([]string{"none", "public", "up"}, name) ||
		strings.HasSuffix(name, "-migrate") || strings.HasSuffix(name, "-sidecar")
}

func (k *checker) needs(p Program) {
	options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
	for i, need := range options.GetNeeds() {
		where := inFile(p.file, programNeeds, int32(i))
		if _, known := optionsv1.Backing_name[int32(need)]; !known || need == optionsv1.Backing_BACKING_UNSPECIFIED {
			k.report(where, "%s needs an unknown backing service: name one, such as BACKING_POSTGRES", p.Name)
		}
		if slices.Contains(options.GetNeeds()[:i], need) {
			k.report(where, "%s needs %s twice: remove one", p.Name, backingName(need))
		}
	}
}

// calls checks what each program declares to call.
func (k *checker) calls() {
	for _, p := range k.contract.Programs {
		options, _ := extension[*optionsv1.Program](p.file.Options(), optionsv1.E_Program)
		for i, call := range options.GetCalls() {
			where := inFile(p.file, programCalls, int32(i))
			if slices.Contains(options.GetCalls()[:i], call) {
				k.report(where, "%s calls %s twice: remove one", p.Name, call)
				continue
			}
			k.call(p, call, where)
		}
	}
}

func (k *checker) call(p Program, call string, where Position) {
	if !callForm.MatchString(call) {
		k.report(where, "%q is not a method: write it as package.Service/Method", call)
		return
	}
	m, ok := k.contract.Method("/" + call)
	switch {
	case !ok:
		k.report(where, "%s calls %s, which no program serves: correct the name or drop the call", p.Name, call)
	case m.Program == p.Name:
		k.report(where, "%s calls its own method %s through the mesh: drop the call", p.Name, call)
	case p.Edge && m.Route != nil:
		k.report(where, "%s has a route, so %s calls it anyway: drop the call", call, p.Name)
	case m.Program != "" && !m.Consents(p):
		k.report(where, "%s calls %s, but %s does not consent: add %q to allow at %s, or drop the call",
			p.Name, call, m.Program, p.Name, in(m.Descriptor, methodAllow))
	}
}

// edge checks that the program that serves the routes exists once, and serves no RPC itself.
func (k *checker) edge() {
	edges := map[string]bool{}
	var first *Program
	for i, p := range k.contract.Programs {
		if !p.Edge {
			continue
		}
		edges[p.Name] = true
		if first != nil {
			k.report(inFile(p.file, programEdge), "%s is an edge besides %s at %s: keep one", p.Name, first.Name, inFile(first.file, programEdge))
		}
		first = cmp.Or(first, &k.contract.Programs[i])
	}
	for _, m := range k.contract.Methods() {
		switch {
		case edges[m.Program]:
			k.report(at(m.Descriptor), "%s serves HTTP and no RPC: move %s to another program", m.Program, m.display())
		case first == nil && m.Route != nil:
			k.report(inOption(m.Descriptor, httpNumber), "%s has a route, but no program is the edge: generate all protos at once, with the gateway's", m.display())
		}
	}
}

// served reports RPCs of our own files that no program answers for.
func (k *checker) served(file protoreflect.FileDescriptor) {
	for _, p := range k.contract.Programs {
		if p.Package == string(file.Package()) {
			return
		}
	}
	for i := range file.Services().Len() {
		k.report(at(file.Services().Get(i)), "no program serves %s: declare option (gatehouse.options.v1.program) in one file of package %s",
			file.Services().Get(i).FullName(), file.Package())
	}
}

// display is a full method name as an author writes it.
func (m *Method) display() string { return strings.TrimPrefix(m.FullName, "/") }
