package plan_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func definition(t *testing.T) *mesh.Definition {
	t.Helper()
	def := meshtest.Definition(t)
	return def
}

// shop is a made-up program with everything that a contract can state.
func shop() mesh.Program {
	return mesh.Program{
		Name: "corner-shop", Slot: 9, Port: 8089, OpsPort: 8489,
		Upstreams: []mesh.Upstream{{Name: "audit", Port: 20184, Protocol: "grpc"}, {Name: "postgres", Port: 20199, Protocol: "tcp"}},
		Database: &mesh.Database{
			Schemas: []string{"shop_search"}, Owner: "shop_owner", Pools: []mesh.Pool{{Variable: "GATEHOUSE_CORNER_SHOP_SEARCH_CONNS", Size: 5}},
		},
		Secrets: []mesh.Secret{{File: "shop.key", Variable: "GATEHOUSE_CORNER_SHOP_KEY", Kind: "key"}},
	}
}

// What every program of today and a made-up one needs, as a person would say it.
func TestPlan(t *testing.T) {
	def := definition(t)
	def.Programs = append(def.Programs, shop())
	p := plan.Of(def)
	for name, want := range map[string]string{
		"gateway": `
serve: port offset, trust domain, datacenter, service prefix
health: 8480 /readyz`,
		"identity": `
migrate as identity: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-identity.url
serve as identity: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-identity.url
health: 8081
database: identity behind 20039
role identity owns: 34`,
		"auth": `
migrate as auth: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-auth.url
serve as auth: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-auth.url, GATEHOUSE_AUTH_KEY_FILE=auth-encryption.key (key), GATEHOUSE_AUTH_KEY_PREVIOUS_FILE=auth-encryption-previous.key (key of before), GATEHOUSE_AUTH_BOOTSTRAP_SECRET_FILE=bootstrap.secret (password)
health: 8082
database: auth behind 20059
role auth owns: 34`,
		"authz": `
migrate as authz: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-authz.url
serve as authz: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-authz.url
health: 8083
database: authz authz_fga behind 20079
role authz owns: 74`,
		"audit": `
migrate as audit_owner: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-audit_owner.url
keep as audit_owner: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-audit_owner.url
serve as audit: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-audit.url, GATEHOUSE_AUDIT_KEY_FILE=audit-log.key (key), GATEHOUSE_AUDIT_KEY_PREVIOUS_FILE=audit-log-previous.key (key of before)
health: 8084
database: audit behind 20099
role audit: 34
role audit_owner owns: 10`,
		"corner-shop": `
migrate as shop_owner: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-shop_owner.url
keep as shop_owner: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-shop_owner.url
serve as corner-shop: port offset, trust domain, datacenter, service prefix, GATEHOUSE_POSTGRES_URL_FILE=postgres-corner-shop.url, GATEHOUSE_CORNER_SHOP_KEY_FILE=shop.key (key)
health: 8089
database: corner-shop shop_search behind 20199
role corner-shop: 44
role shop_owner owns: 10`,
	} {
		program, err := p.Program(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSpace(want), describe(program)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := p.Program("nobody"); err == nil {
		t.Error("nobody has a plan")
	}
	if len(p.Programs) != len(def.Programs) {
		t.Errorf("a plan for %d of %d programs", len(p.Programs), len(def.Programs))
	}
}

// describe tells all of a program's plan that is not the definition's.
func describe(p plan.Program) string {
	var lines []string
	for _, task := range p.Tasks {
		var env []string
		for _, v := range task.Env {
			switch {
			case v.Source != plan.SecretFile:
				env = append(env, string(v.Source))
			case v.Before:
				env = append(env, fmt.Sprintf("%s=%s (%s of before)", v.Name, v.Secret, v.Kind))
			case v.Kind != "":
				env = append(env, fmt.Sprintf("%s=%s (%s)", v.Name, v.Secret, v.Kind))
			default:
				env = append(env, v.Name+"="+v.Secret)
			}
		}
		as := ""
		if task.Role != "" {
			as = " as " + task.Role
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s", task.Verb, as, strings.Join(env, ", ")))
	}
	lines = append(lines, strings.TrimSpace(fmt.Sprintf("health: %d %s", p.Health.Port, p.Health.Path)))
	if p.Database != nil {
		lines = append(lines, fmt.Sprintf("database: %s behind %d", strings.Join(p.Database.Schemas, " "), p.Database.Port))
		for _, role := range p.Database.Roles {
			owns := ""
			if role.Owner {
				owns = " owns"
			}
			lines = append(lines, fmt.Sprintf("role %s%s: %d", role.Name, owns, role.ConnectionLimit(nil)))
		}
	}
	return strings.Join(lines, "\n")
}

// All migrations are a stage before all that serve, each a process of its own.
func TestStages(t *testing.T) {
	def := definition(t)
	p := plan.Of(def)
	want := map[string][]string{}
	for _, program := range def.Programs {
		want[plan.Serve] = append(want[plan.Serve], program.Name)
		if _, err := program.Upstream(mesh.Postgres); err == nil {
			want[plan.Migrate] = append(want[plan.Migrate], program.Name+"-migrate")
		}
		if program.Database != nil && program.Database.Owner != "" {
			want[plan.Keep] = append(want[plan.Keep], program.Name+"-keep")
		}
	}
	for verb, least := range map[string]int{plan.Migrate: 4, plan.Keep: 1, plan.Serve: 4} {
		var got []string
		for _, task := range p.Stage(verb) {
			got = append(got, task.Process())
		}
		if !slices.Equal(got, want[verb]) || len(got) < least {
			t.Errorf("%s: %v, want %v", verb, got, want[verb])
		}
	}
	for _, program := range p.Programs {
		if last := program.Tasks[len(program.Tasks)-1]; last.Verb != plan.Serve {
			t.Errorf("%s ends with %s", program.Name, last.Verb)
		}
	}
}

// The operator's own settings: which reach a program, and which win over the plan's.
func TestOperatorsSettings(t *testing.T) {
	def := definition(t)
	def.Programs = append(def.Programs, mesh.Program{Name: "corner"}, shop())
	p := plan.Of(def)
	const everybody = "*"
	given := map[string][]string{ // variable of the operator to the programs that get it
		"HOME=/root":                                {},
		"PGPASSWORD=x":                              {},
		"GATEHOUSE_LOG_LEVEL=debug":                 {everybody},
		"GATEHOUSE_AUTH_KEY_MAX_AGE=1m":             {"auth"},
		"GATEHOUSE_AUTHZ_ENGINE_MAX_CONNS=1":        {"authz"},
		"GATEHOUSE_CORNER_SHOP_SEARCH_CONNS=1":      {"corner-shop"},
		"GATEHOUSE_MAIL_MAILBOX=true":               {"auth"}, // whose area has another name
		"GATEHOUSE_MAIL_SMTP_PASSWORD=x":            {"auth"},
		"GATEHOUSE_CORNER_SIZE=1":                   {"corner"},
		"GATEHOUSE_MESH_PORT_OFFSET=9000":           {},
		"GATEHOUSE_CONSUL_TOKEN=x":                  {},
		"GATEHOUSE_CLI_STATE=/x":                    {},
		"GATEHOUSE_URL=x":                           {},
		"GATEHOUSE_POSTGRES_URL=postgres://x":       {},
		"GATEHOUSE_POSTGRES_URL_FILE=/x":            {},
		"GATEHOUSE_POSTGRES_MAX_CONNS=3":            {everybody},
		"GATEHOUSE_AUTH_BOOTSTRAP_SECRET_FILE=/own": {"auth"},
	}
	var operators []string
	for pair := range given {
		operators = append(operators, pair)
	}
	for _, task := range p.Stage(plan.Serve) {
		environ, err := p.Environ(task, operators, func(v plan.Variable) (string, error) { return "planned " + v.Secret, nil })
		if err != nil {
			t.Fatal(err)
		}
		for pair, programs := range given {
			if reaches := slices.Contains(programs, task.Program) || slices.Contains(programs, everybody); slices.Contains(environ, pair) != reaches {
				t.Errorf("%s: it is wrong about %s: %v", task.Program, pair, environ)
			}
		}
		var names []string
		for _, pair := range environ {
			name, _, _ := strings.Cut(pair, "=")
			names = append(names, name)
		}
		slices.Sort(names)
		if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
			t.Errorf("%s: a variable is given twice: %v", task.Program, names)
		}
		if task.Program == "auth" && !slices.Contains(environ, "GATEHOUSE_AUTH_KEY_FILE=planned auth-encryption.key") {
			t.Errorf("the other secret is not the plan's: %v", environ)
		}
	}
	for _, task := range p.Stage(plan.Migrate) {
		environ, err := p.Environ(task, operators, func(v plan.Variable) (string, error) { return "planned " + v.Secret, nil })
		if err != nil || !slices.Contains(environ, "GATEHOUSE_LOG_LEVEL=debug") || strings.Contains(strings.Join(environ, " "), "BOOTSTRAP_SECRET") {
			t.Errorf("the migration of %s gets %v, %v", task.Program, environ, err)
		}
	}
	empty, err := p.Environ(p.Stage(plan.Serve)[2], []string{"GATEHOUSE_AUTH_KEY="}, func(plan.Variable) (string, error) { return "planned", nil })
	if err != nil || !slices.Contains(empty, "GATEHOUSE_AUTH_KEY_FILE=planned") {
		t.Errorf("an empty variable is one of the operator's: %v, %v", empty, err)
	}
	unknown := errors.New("unknown")
	if _, err := p.Environ(p.Stage(plan.Serve)[0], nil, func(plan.Variable) (string, error) { return "", unknown }); !errors.Is(err, unknown) {
		t.Errorf("a value that is not there: %v", err)
	}
}
