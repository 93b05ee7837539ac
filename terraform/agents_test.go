package terraform_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// R75, R82, R83, R87: a site's agents allow nothing by default, ask each other for certificates, and hand nobody a service's key. Modules and
// jobs count on it.
func TestAgentsKeepThePolicy(t *testing.T) {
	for file := range agentRules() {
		for _, problem := range agentProblems(t, file) {
			t.Errorf("%s: %s", file, problem)
		}
	}
}

// The control: each of these is found.
func TestAgentsThatBreakThePolicy(t *testing.T) {
	for name, c := range map[string]struct{ file, there, instead, want string }{
		"ACLs that allow":       {"consul/agent/server.hcl", `default_policy           = "deny"`, `default_policy           = "allow"`, "acl.default_policy"},
		"intentions that allow": {"consul/agent/client.hcl", `default_intention_policy = "deny"`, "", "default_intention_policy"},
		"HTTP":                  {"consul/agent/client.hcl", "http     = -1", "http     = 8500", "ports.http"},
		"keys for who asks":     {"consul/agent/server.hcl", `["/v1/agent/connect/ca/leaf"]`, "[]", "http_config.block_endpoints"},
		"a token in the file":   {"consul/agent/server.hcl", `down_policy `, "tokens { agent = \"x\" }\n  down_policy ", "acl.tokens.agent"},
		"no ACLs in Nomad":      {"nomad/agent/server.hcl", "acl {\n  enabled = true", "acl {\n  enabled = false", "acl.enabled"},
		"RPC in clear":          {"nomad/agent/client.hcl", "rpc                    = true", "rpc                    = false", "tls.rpc"},
		"tasks that are root":   {"nomad/agent/client.hcl", "enabled = false", "enabled = true", "plugin.raw_exec.config.enabled"},
		"keys for templates":    {"nomad/agent/client.hcl", `, "caLeaf"`, "", "client.template.function_denylist"},
		"another audience":      {"nomad/agent/server.hcl", `"consul.io"`, `"x.io"`, "consul.service_identity.aud"},
	} {
		found := strings.Join(agentProblems(t, c.file, c.there, c.instead), "\n")
		if !strings.Contains(found, c.want) {
			t.Errorf("%s: found %q, want %s", name, found, c.want)
		}
	}
}

// agentRules are the settings that each file must have; a list must have the one that is named.
func agentRules() map[string]map[string]cty.Value {
	yes, no, deny := cty.True, cty.False, cty.StringVal("deny")
	consul := map[string]cty.Value{
		"acl.enabled": yes, "acl.default_policy": deny, "default_intention_policy": deny, "connect.enabled": yes,
		"tls.defaults.verify_incoming": yes, "tls.defaults.verify_outgoing": yes, "tls.internal_rpc.verify_server_hostname": yes,
		"ports.http": cty.NumberIntVal(-1), "http_config.block_endpoints": cty.StringVal("/v1/agent/connect/ca/leaf"),
	}
	nomad := map[string]cty.Value{
		"acl.enabled": yes, "tls.http": yes, "tls.rpc": yes, "tls.verify_server_hostname": yes, "consul.service_identity.aud": cty.StringVal("consul.io"),
	}
	client := map[string]cty.Value{"plugin.raw_exec.config.enabled": no, "client.template.function_denylist": cty.StringVal("caLeaf")}
	for name, value := range nomad {
		client[name] = value
	}
	return map[string]map[string]cty.Value{
		"consul/agent/server.hcl": consul, "consul/agent/client.hcl": consul, "nomad/agent/server.hcl": nomad, "nomad/agent/client.hcl": client,
	}
}

func agentProblems(t *testing.T, file string, changes ...string) []string {
	t.Helper()
	text, err := os.ReadFile("../" + file)
	if err != nil {
		t.Fatal(err)
	}
	source := string(text)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(source, changes[i]) {
			t.Fatalf("%s has no %q", file, changes[i])
		}
		source = strings.ReplaceAll(source, changes[i], changes[i+1])
	}
	parsed, problems := hclparse.NewParser().ParseHCL([]byte(source), file)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	settings := map[string]cty.Value{}
	flatten(t, parsed.Body.(*hclsyntax.Body), "", settings)
	var found []string
	for name, want := range agentRules()[file] {
		got, ok := settings[name]
		list := ok && got.CanIterateElements() && slices.ContainsFunc(got.AsValueSlice(), func(v cty.Value) bool { return v.RawEquals(want) })
		if !ok || !list && !got.RawEquals(want) {
			found = append(found, name+" is not "+want.GoString())
		}
	}
	for name := range settings {
		if strings.Contains(name, ".tokens.") || strings.HasSuffix(name, "encrypt") || strings.HasSuffix(name, ".token") {
			found = append(found, name+" is a secret, for the host's own file")
		}
	}
	return found
}

// flatten takes the settings of blocks by their path, "tls.defaults.verify_incoming".
func flatten(t *testing.T, body *hclsyntax.Body, path string, into map[string]cty.Value) {
	t.Helper()
	for name, attribute := range body.Attributes {
		value, problems := attribute.Expr.Value(nil)
		if problems.HasErrors() {
			t.Fatal(problems)
		}
		into[path+name] = value
	}
	for _, block := range body.Blocks {
		flatten(t, block.Body, path+strings.Join(append([]string{block.Type}, block.Labels...), ".")+".", into)
	}
}
