package plan

import (
	"slices"
	"strings"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
)

// Source is where the value of a variable comes from.
type Source string

// The sources.
const (
	PortOffset    Source = "port offset"    // of this machine's ports
	TrustDomain   Source = "trust domain"   // of the mesh's CA
	Datacenter    Source = "datacenter"     // of the mesh
	ServicePrefix Source = "service prefix" // of the platform's services in Consul; may be empty
	SecretFile    Source = "secret file"    // the path of the file named by Variable.Secret
)

// Variable is one variable of a task's environment.
type Variable struct {
	Name   string
	Source Source
	Secret string   // name of the file
	Kind   string   // what the secret is made of, as in mesh.Secret; empty where it follows from the database
	Before bool     // it is the value that another secret had before, while that is replaced: often there is none
	Yields []string // not given when the operator has set one of these
}

// secretSuffix ends the name of a variable with the path of a secret.
const secretSuffix = "_FILE"

// task is one task of a program, which connects to the database as the role. The program's secrets
// are those of what serves: a migration has its role's URL alone.
func task(p Program, verb, role string) Task {
	t := Task{Program: p.Name, Verb: verb, Role: role, Env: []Variable{
		{Name: "GATEHOUSE_MESH_PORT_OFFSET", Source: PortOffset},
		{Name: "GATEHOUSE_MESH_TRUST_DOMAIN", Source: TrustDomain},
		{Name: "GATEHOUSE_MESH_DATACENTER", Source: Datacenter},
		{Name: "GATEHOUSE_MESH_SERVICE_PREFIX", Source: ServicePrefix},
	}}
	if role != "" {
		t.Env = append(t.Env, Variable{Name: "GATEHOUSE_POSTGRES_URL" + secretSuffix, Source: SecretFile, Secret: URLFile(role)})
	}
	if verb != Serve {
		return t
	}
	for _, s := range p.Secrets {
		yields := []string{s.Variable, s.Variable + secretSuffix}
		t.Env = append(t.Env, Variable{Name: s.Variable + secretSuffix, Source: SecretFile, Secret: s.File, Kind: s.Kind, Yields: yields})
		if s.Previous {
			before := contract.PreviousVariable(s.Variable)
			t.Env = append(t.Env, Variable{
				Name: before + secretSuffix, Source: SecretFile, Secret: contract.PreviousFile(s.File), Kind: s.Kind, Before: true,
				Yields: append(slices.Clone(yields), before, before+secretSuffix),
			})
		}
	}
	return t
}

// Item is the variable of the secret itself, for whoever keeps secrets by that name.
func (v Variable) Item() string { return strings.TrimSuffix(v.Name, secretSuffix) }

// Environ returns the variables of a task as "NAME=value" pairs: those of the plan, with the values
// that value finds ("" for a value of before where there is none), and the operator's own that are
// meant for the program.
func (p *Plan) Environ(t Task, operators []string, value func(Variable) (string, error)) ([]string, error) {
	var pairs []string
	for _, v := range t.Env {
		if slices.ContainsFunc(v.Yields, func(name string) bool { return IsSet(operators, name) }) {
			continue
		}
		text, err := value(v)
		if err != nil {
			return nil, err
		}
		if text != "" || !v.Before {
			pairs = append(pairs, v.Name+"="+text)
		}
	}
	for _, pair := range operators {
		if name, _, _ := strings.Cut(pair, "="); p.reaches(name, t.Program) && !p.withholds(name, t) {
			pairs = append(pairs, pair)
		}
	}
	return pairs, nil
}

// reaches reports whether a variable of the operator's reaches a program: those of the kernel and
// of the program's own area do, but none that the plan, or whoever executes it, decides.
func (p *Plan) reaches(variable, program string) bool {
	rest, ours := strings.CutPrefix(variable, "GATEHOUSE_")
	if !ours || decided(rest) {
		return false
	}
	owner := p.areaOwner(rest)
	return owner == "" || owner == program
}

// withholds reports whether a variable of the operator's is a secret of the program's, and the task
// is none that serves.
func (p *Plan) withholds(variable string, t Task) bool {
	program, err := p.Program(t.Program)
	if err != nil || t.Verb == Serve {
		return false
	}
	return slices.ContainsFunc(program.Tasks[len(program.Tasks)-1].Env, func(v Variable) bool { return slices.Contains(v.Yields, variable) })
}

// decided reports whether a variable is the plan's, or the operator's command's own.
func decided(rest string) bool {
	for _, area := range []string{"MESH_", "CONSUL_", "CLI_"} {
		if strings.HasPrefix(rest, area) {
			return true
		}
	}
	return slices.Contains([]string{"URL", "POSTGRES_URL", "POSTGRES_URL_FILE"}, rest)
}

// areaOwner is the program whose name is the longest area that a variable begins with, or that alone
// has the area, "" for the
// kernel's: GATEHOUSE_AUTH_PROXY_PORT is that of auth-proxy, if there is one, and not of auth.
func (p *Plan) areaOwner(rest string) string {
	owner := ""
	for _, program := range p.Programs {
		if len(program.Name) > len(owner) && strings.HasPrefix(rest, Area(program.Program)+"_") {
			owner = program.Name
		}
	}
	if owner == "" {
		owner = config.AreaOwner(rest)
	}
	return owner
}

// Area is what the variables of a program begin with, after GATEHOUSE_.
func Area(p mesh.Program) string { return strings.ToUpper(strings.ReplaceAll(p.Name, "-", "_")) }

// IsSet reports whether an environment gives a variable a value. An empty one is as good as none.
func IsSet(environ []string, variable string) bool {
	return slices.ContainsFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, variable+"=") && pair != variable+"=" })
}
