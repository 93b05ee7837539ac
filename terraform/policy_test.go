package terraform_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// What modules and environments may make and read: nothing that holds a secret, and no job, which
// `nomad job run` owns (R85). The CA is the site's (R81).
var (
	ourResources = []string{
		"consul_config_entry", "consul_acl_policy", "consul_acl_binding_rule", "consul_acl_auth_method", "nomad_namespace", "nomad_acl_policy",
	}
	ourData = []string{"consul_config_entry", "consul_acl_auth_method"}
)

// R75–R85: the modules make what keeps the mesh closed, for us alone, and in the order in which
// Consul takes it.
func TestModulesKeepThePolicy(t *testing.T) {
	for _, variables := range []map[string]cty.Value{site(), own()} {
		for _, name := range []string{"mesh", "consul-acl", "nomad"} {
			for _, problem := range problems(t, load(t, "modules/"+name, variables), made(t, name, variables), variables) {
				t.Errorf("%s: %s", name, problem)
			}
		}
	}
}

// R75–R85: each of these is found.
func TestWhatBreaksThePolicy(t *testing.T) {
	const mesh, acl, nomad = "modules/mesh", "modules/consul-acl", "modules/nomad"
	for name, c := range map[string]struct {
		folder, there, instead, want string
	}{
		"a job":                              {nomad, `resource "nomad_acl_policy"`, `resource "nomad_job"`, "nomad_job is not ours"},
		"a secret":                           {nomad, `resource "nomad_acl_policy"`, `resource "nomad_variable"`, "nomad_variable is not ours"},
		"a token":                            {acl, `resource "consul_acl_policy"`, `resource "consul_acl_token"`, "consul_acl_token is not ours"},
		"rights of the anonymous token":      {acl, `resource "consul_acl_binding_rule"`, `resource "consul_acl_token_policy_attachment"`, "is not ours"},
		"the mesh's CA":                      {mesh, `resource "consul_config_entry" "own"`, `resource "consul_certificate_authority" "own"`, "is not ours"},
		"a token that is read":               {acl, `data "consul_acl_auth_method"`, `data "consul_acl_token_secret_id"`, "is not ours"},
		"a secret variable":                  {acl, `variable "jwks_ca"`, `variable "consul_token"`, "consul_token is a secret"},
		"a token as an argument":             {acl, "  bind_name   = each.value.BindName", "  bind_name   = each.value.BindName\n  token = \"x\"", "token is a secret"},
		"resolvers in any order":             {mesh, "depends_on = [consul_config_entry.defaults]", "", "resolvers does not wait for consul_config_entry.defaults"},
		"intentions in any order":            {mesh, "depends_on = [consul_config_entry.resolvers]", "depends_on = [consul_config_entry.defaults]", "intentions does not wait for consul_config_entry.resolvers"},
		"logins before policies":             {acl, "depends_on = [consul_acl_policy.services]", "", "services does not wait for consul_acl_policy.services"},
		"another provider":                   {mesh, `version = ">= 2.23"`, `version = ">= 2.20"`, "versions.tf"},
		"no prefix on a shared Consul":       {mesh, `|| var.own_cluster`, `|| true`, "an empty prefix is let through"},
		"no prefix of policies":              {acl, `|| var.own_cluster`, `|| true`, "an empty prefix is let through"},
		"everybody as an ingress":            {mesh, `!contains(var.ingress_sources, "*") &&`, "", `the ingress "*" is let through`},
		"an entry without a prefix":          {mesh, `name        = "${var.service_prefix}${each.key}"`, `name        = each.key`, "has no prefix"},
		"a source without a prefix":          {mesh, `"*" : "${var.service_prefix}${s.Name}"`, `"*" : s.Name`, "source"},
		"a policy without a prefix":          {acl, `name        = "${var.service_prefix}${each.key}"`, `name        = each.key`, "has no prefix"},
		"a denial undone":                    {mesh, `var.undo_denies || length(local.denied) == 0`, `length(local.denied) >= 0`, "a denial would be undone"},
		"a denial that nobody can undo":      {mesh, `var.undo_denies || length(local.denied) == 0`, `length(local.denied) == 0`, "undo_denies undoes nothing"},
		"denials that are read too late":     {mesh, "name = try(local.kept[each.key], \"${var.service_prefix}${each.key}\")", "name = consul_config_entry.intentions[each.key].name\n", "is read after the change"},
		"permissive TLS":                     {mesh, `config_json = jsonencode({ for field, value in each.value : field => value if !contains(["Kind", "Name"], field) })`, `config_json = jsonencode(merge(each.value, { AllowEnablingPermissiveMutualTLS = true }))`, "R77"},
		"no normalization of paths":          {mesh, `if !contains(["Kind", "Name"], field) }`, `if !contains(["Kind", "Name", "HTTP"], field) }`, "R78"},
		"everybody may":                      {mesh, `[for s in entry.Sources : merge(s, {`, `[for s in entry.Sources : merge(s, { Action = "allow", Permissions = [],`, "R79"},
		"an ingress to a service":            {mesh, `if contains(local.edges, entry.Name)]`, `]`, "R79"},
		"a jwt-provider":                     {mesh, `kind        = "service-resolver"`, `kind        = "jwt-provider"`, "R80"},
		"a driver that is root":              {nomad, "local.namespace.Capabilities.EnabledTaskDrivers", `["exec", "raw_exec"]`, "R82"},
		"any job of the namespace":           {acl, "each.value.Selector", `"value.nomad_namespace==\"gatehouse\" and value.nomad_service==\"${each.value.BindName}\""`, "R83"},
		"the service that a job names":       {acl, "each.value.BindName", `"$${value.nomad_service}"`, "R83"},
		"another audience":                   {acl, "config_json = jsonencode(local.method.Config)", `config_json = jsonencode(merge(local.method.Config, { BoundAudiences = ["nomad.io"] }))`, "R83"},
		"tokens that end before the sidecar": {acl, "config_json = jsonencode(local.method.Config)", "config_json = jsonencode(local.method.Config)\n  max_token_ttl = \"1h\"", "max_token_ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			var found []string
			for _, variables := range []map[string]cty.Value{site(), own()} {
				m := load(t, c.folder, variables, c.there, c.instead)
				found = append(found, problems(t, m, m.made(t), variables)...)
			}
			if !slices.ContainsFunc(found, func(problem string) bool { return strings.Contains(problem, c.want) }) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

// problems are what a module does otherwise than it must.
func problems(t *testing.T, m *module, made []resource, variables map[string]cty.Value) []string {
	t.Helper()
	found := append(m.kinds(), m.order()...)
	found = append(found, m.refusals(t, variables)...)
	servicePrefix := variables["service_prefix"].AsString()
	for _, r := range made {
		switch r.kind {
		case "consul_config_entry":
			found = append(found, entryProblems(t, r, servicePrefix)...)
		case "consul_acl_policy":
			if !strings.HasPrefix(r.text("name"), servicePrefix) && r.name == "services" || strings.Contains(r.text("rules"), "${") {
				found = append(found, fmt.Sprintf("the policy %s has no prefix", r.text("name")))
			}
		case "consul_acl_binding_rule":
			found = append(found, ruleProblems(r, servicePrefix)...)
		case "consul_acl_auth_method":
			if !strings.Contains(r.text("config_json"), `"BoundAudiences":["consul.io"]`) {
				found = append(found, "R83: the method takes tokens for others than Consul: "+r.text("config_json"))
			}
			if ttl := r.text("max_token_ttl"); ttl != "" && ttl != "0s" {
				found = append(found, "max_token_ttl is "+ttl+": sidecars end with their tokens")
			}
		case "nomad_namespace":
			if drivers := r.text("drivers"); drivers != "exec" {
				found = append(found, "R82: the namespace admits the drivers "+drivers)
			}
		}
	}
	return found
}

// kinds finds what must not be in a state, and providers that are too old.
func (m *module) kinds() []string {
	var found []string
	for _, b := range m.blocks {
		switch b.Type {
		case "resource", "data":
			if allowed := map[string][]string{"resource": ourResources, "data": ourData}[b.Type]; !slices.Contains(allowed, b.Labels[0]) {
				found = append(found, b.Labels[0]+" is not ours to have in a state")
			}
			for name := range b.Body.Attributes {
				if secret(name) {
					found = append(found, b.Labels[0]+": "+name+" is a secret")
				}
			}
		case "variable", "output":
			if secret(b.Labels[0]) {
				found = append(found, b.Labels[0]+" is a secret")
			}
		case "locals", "terraform":
		default:
			found = append(found, "a block "+b.Type)
		}
	}
	if pins := m.sources["versions.tf"]; !strings.Contains(pins, `version = ">= 2.23"`) && !strings.Contains(pins, `version = ">= 2.6"`) {
		found = append(found, "versions.tf does not pin consul >= 2.23 or nomad >= 2.6")
	}
	return found
}

func secret(name string) bool {
	for _, word := range []string{"token", "secret", "password", "private", "credential"} {
		if strings.Contains(name, word) && name != "max_token_ttl" {
			return true
		}
	}
	return false
}

// order: Consul answers 500 to intentions before protocols.
func (m *module) order() []string {
	var found []string
	for of, on := range map[string]string{
		"consul_config_entry.resolvers": "consul_config_entry.defaults", "consul_config_entry.intentions": "consul_config_entry.resolvers",
		"consul_acl_binding_rule.services": "consul_acl_policy.services",
	} {
		for _, b := range m.blocks {
			if b.Type != "resource" || strings.Join(b.Labels, ".") != of {
				continue
			}
			waits := b.Body.Attributes["depends_on"]
			if waits == nil || !slices.Contains(references(waits.Expr), on) {
				found = append(found, fmt.Sprintf("%s does not wait for %s", of, on))
			}
		}
	}
	for _, b := range m.blocks {
		if b.Type == "data" && b.Labels[0] == "consul_config_entry" {
			for _, a := range b.Body.Attributes {
				for _, reference := range references(a.Expr) {
					if strings.HasPrefix(reference, "consul_config_entry.") {
						found = append(found, fmt.Sprintf("data %s names %s, so what was denied is read after the change", b.Labels[1], reference))
					}
				}
			}
		}
	}
	return found
}

// references are the first two words of what an expression refers to.
func references(expr hclsyntax.Expression) []string {
	var all []string
	for _, traversal := range expr.Variables() {
		words := traversal.RootName()
		if len(traversal) > 1 {
			if attribute, ok := traversal[1].(hcl.TraverseAttr); ok {
				words += "." + attribute.Name
			}
		}
		all = append(all, words)
	}
	return all
}

// entryProblems: R76–R80.
func entryProblems(t *testing.T, r resource, servicePrefix string) []string {
	t.Helper()
	var found []string
	at, text := r.text("kind")+"/"+r.text("name"), r.text("config_json")
	var entry struct {
		AllowEnablingPermissiveMutualTLS bool
		TransparentProxy                 struct{ MeshDestinationsOnly bool }
		HTTP                             struct {
			Incoming struct{ RequestNormalization map[string]any }
		}
		Sources []intention
	}
	if err := json.Unmarshal([]byte(text), &entry); err != nil {
		t.Fatal(err)
	}
	for _, dangerous := range []string{"permissive", "envoy_public_listener_json"} {
		if strings.Contains(strings.ReplaceAll(text, "AllowEnablingPermissiveMutualTLS", ""), dangerous) {
			found = append(found, fmt.Sprintf("R77, R78: %s says %s", at, dangerous))
		}
	}
	switch r.text("kind") {
	case "mesh":
		if entry.AllowEnablingPermissiveMutualTLS || !entry.TransparentProxy.MeshDestinationsOnly || strings.Count(text, `"TLSMinVersion":"TLSv1_2"`) != 2 {
			found = append(found, "R77: the mesh entry says "+text)
		}
		normal := entry.HTTP.Incoming.RequestNormalization
		if normal["MergeSlashes"] != true || normal["InsecureDisablePathNormalization"] == true ||
			normal["PathWithEscapedSlashesAction"] != "REJECT_REQUEST" || normal["HeadersWithUnderscoresAction"] != "REJECT_REQUEST" {
			found = append(found, "R78: the mesh entry says "+text)
		}
	case "proxy-defaults":
	case "service-defaults", "service-resolver":
		if !strings.HasPrefix(r.text("name"), servicePrefix) {
			found = append(found, at+" has no prefix")
		}
	case "service-intentions":
		if !strings.HasPrefix(r.text("name"), servicePrefix) {
			found = append(found, at+" has no prefix")
		}
		found = append(found, intentionProblems(at, r.key, entry.Sources, servicePrefix)...)
	default:
		found = append(found, "R80: services verify tokens themselves, and "+at+" is of no kind of ours")
	}
	return found
}

type intention struct {
	Name, Action string
	Permissions  []struct {
		Action string
		HTTP   map[string]any
	}
}

// intentionProblems (R79): exact paths for each caller, then a denial; all that is not listed is denied. TCP has no paths.
func intentionProblems(at, program string, sources []intention, servicePrefix string) []string {
	var found []string
	for i, s := range sources {
		ingress := program == "gateway" && (s.Name == "edge-envoy" || s.Name == "other") && servicePrefix != ""
		switch last := len(s.Permissions) - 1; {
		case s.Name == "*":
			if s.Action != "deny" || last >= 0 || i != len(sources)-1 {
				found = append(found, fmt.Sprintf("R79: %s: everybody: %+v", at, s))
			}
		case ingress:
		case !strings.HasPrefix(s.Name, servicePrefix):
			found = append(found, fmt.Sprintf("R79: %s: the source %s has no prefix", at, s.Name))
		case s.Action == "allow":
			if program != "postgres" || last >= 0 {
				found = append(found, fmt.Sprintf("R79: %s: %s may call everything", at, s.Name))
			}
		case last < 0 || s.Permissions[last].Action != "deny" || s.Permissions[last].HTTP["PathPrefix"] != "/":
			found = append(found, fmt.Sprintf("R79: %s: %s is not denied what is not listed", at, s.Name))
		default:
			for _, p := range s.Permissions[:last] {
				if path, _ := p.HTTP["PathExact"].(string); p.Action != "allow" || len(p.HTTP) != 1 || strings.Count(path, "/") != 2 {
					found = append(found, fmt.Sprintf("R79: %s: %s may %v", at, s.Name, p.HTTP))
				}
			}
		}
	}
	if n := len(sources); n == 0 || sources[n-1].Name != "*" {
		found = append(found, "R79: "+at+" does not end with a denial of everybody")
	}
	return found
}

// ruleProblems (R83): one job of our namespace, by its id and its service.
func ruleProblems(r resource, servicePrefix string) []string {
	want := fmt.Sprintf(`value.nomad_namespace=="gatehouse" and value.nomad_job_id==%q and value.nomad_service==%q`, r.key, servicePrefix+r.key)
	if r.text("selector") != want || r.text("bind_type") != "policy" || r.text("bind_name") != servicePrefix+r.key {
		return []string{fmt.Sprintf("R83: the rule of %s gives %s to %s", r.key, r.text("bind_name"), r.text("selector"))}
	}
	return nil
}

// refusals: what the conditions of variables and outputs must not let through.
func (m *module) refusals(t *testing.T, variables map[string]cty.Value) []string {
	t.Helper()
	var found []string
	if _, ok := m.variables["service_prefix"]; !ok || len(m.sources["variables.tf"]) == 0 || !strings.Contains(m.sources["variables.tf"], `"service_prefix"`) {
		return nil
	}
	lets := func(name string, changed map[string]cty.Value) bool {
		kept := m.variables
		defer func() { m.variables = kept }()
		m.variables = map[string]cty.Value{}
		for k, v := range kept {
			m.variables[k] = v
		}
		for k, v := range changed {
			m.variables[k] = v
		}
		return m.holds(t, "variable", name, "validation")
	}
	if lets("service_prefix", map[string]cty.Value{"service_prefix": cty.StringVal(""), "own_cluster": cty.False}) {
		found = append(found, "an empty prefix is let through on a shared Consul")
	}
	if !lets("service_prefix", map[string]cty.Value{"service_prefix": variables["service_prefix"]}) {
		found = append(found, "a good prefix is refused")
	}
	if !strings.Contains(m.sources["variables.tf"], "ingress_sources") {
		return found
	}
	if lets("ingress_sources", map[string]cty.Value{"ingress_sources": cty.ListVal([]cty.Value{cty.StringVal("*")})}) {
		found = append(found, `the ingress "*" is let through`)
	}
	m.known["denied"] = cty.TupleVal([]cty.Value{cty.StringVal("a denial")})
	if m.holds(t, "output", "denied", "precondition") {
		found = append(found, "a denial would be undone")
	}
	m.variables["undo_denies"] = cty.True
	if !m.holds(t, "output", "denied", "precondition") {
		found = append(found, "undo_denies undoes nothing")
	}
	delete(m.known, "denied")
	return found
}

// holds reports whether all conditions of a block hold.
func (m *module) holds(t *testing.T, block, name, of string) bool {
	t.Helper()
	asked := 0
	for _, b := range m.blocks {
		if b.Type != block || b.Labels[0] != name {
			continue
		}
		for _, inner := range b.Body.Blocks {
			if inner.Type == of {
				asked++
				if m.value(t, inner.Body.Attributes["condition"].Expr, nil).False() {
					return false
				}
			}
		}
	}
	return asked > 0
}

// R85: environments are module calls and values, keep no secret, and say of no state where it is.
func TestEnvironmentsAreCallsAndValues(t *testing.T) {
	folders, err := filepath.Glob("environments/*")
	if err != nil || len(folders) != 3 {
		t.Fatal(folders, err)
	}
	for _, folder := range folders {
		for _, problem := range load(t, folder, nil).environment() {
			t.Errorf("%s: %s", folder, problem)
		}
	}
	for name, c := range map[string]struct{ there, instead, want string }{
		"a resource":                {`module "nomad"`, `resource "nomad_namespace" "x"`, "a block resource"},
		"a state that is named":     {`backend "consul" {}`, `backend "consul" { path = "x" }`, "backend"},
		"a token":                   {`provider "consul" {}`, `provider "consul" { token = "x" }`, "provider"},
		"a secret":                  {`variable "undo_denies"`, `variable "nomad_token"`, "is a secret"},
		"a module of somebody else": {`"../../modules/mesh"`, `"hashicorp/mesh/consul"`, "source"},
		"a site that is not ours":   {"undo_denies    = var.undo_denies", "undo_denies    = var.undo_denies\n  own_cluster = true", "own_cluster"},
		"an old provider":           {`version = ">= 2.6"`, `version = ">= 2.0"`, "versions.tf"},
	} {
		found := load(t, "environments/production", nil, c.there, c.instead).environment()
		if !slices.ContainsFunc(found, func(problem string) bool { return strings.Contains(problem, c.want) }) {
			t.Errorf("%s: found %q, want %q", name, found, c.want)
		}
	}
}

func (m *module) environment() []string {
	var found []string
	empty := func(b *hclsyntax.Block) bool { return len(b.Body.Attributes)+len(b.Body.Blocks) == 0 }
	for _, b := range m.blocks {
		switch b.Type {
		case "terraform":
			for _, inner := range b.Body.Blocks {
				if inner.Type == "backend" && !empty(inner) {
					found = append(found, "the backend names a place")
				}
			}
		case "provider":
			if !empty(b) {
				found = append(found, "the provider "+b.Labels[0]+" says what CONSUL_* or NOMAD_* say")
			}
		case "module":
			value, problems := b.Body.Attributes["source"].Expr.Value(nil)
			if problems.HasErrors() || !strings.HasPrefix(value.AsString(), "../../modules/") {
				found = append(found, "the source of "+b.Labels[0])
			}
			if _, ok := b.Body.Attributes["own_cluster"]; ok && filepath.Base(m.folder) != "dev" {
				found = append(found, b.Labels[0]+" says own_cluster")
			}
		case "variable", "output":
			if secret(b.Labels[0]) {
				found = append(found, b.Labels[0]+" is a secret")
			}
		case "locals":
		default:
			found = append(found, "a block "+b.Type)
		}
	}
	if pins := m.sources["versions.tf"]; !strings.Contains(pins, `version = ">= 2.23"`) || !strings.Contains(pins, `version = ">= 2.6"`) {
		found = append(found, "versions.tf does not pin consul >= 2.23 and nomad >= 2.6")
	}
	return found
}
