package terraform_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
	"github.com/zclconf/go-cty/cty"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

const prefix = "prefix-"

// site is a Consul that others use, with an ingress of its own.
func site() map[string]cty.Value {
	return map[string]cty.Value{
		"service_prefix": cty.StringVal(prefix), "own_cluster": cty.False,
		"ingress_sources": cty.ListVal([]cty.Value{cty.StringVal("edge-envoy"), cty.StringVal("other")}), "nomad_clients": cty.SetValEmpty(cty.String),
	}
}

// own is a Consul of ours alone.
func own() map[string]cty.Value {
	return map[string]cty.Value{
		"service_prefix": cty.StringVal(""), "own_cluster": cty.True, "ingress_sources": cty.ListValEmpty(cty.String),
		"nomad_clients": cty.SetVal([]cty.Value{cty.StringVal("host-1")}),
		"jwks_url":      cty.StringVal("https://nomad.test:4646/.well-known/jwks.json"), "jwks_ca": cty.StringVal("-----BEGIN\nabc\n-----END\n"),
	}
}

// The module mesh makes the entries that `gatehouse` writes, under their names, and no others.
func TestMeshIsWhatGatehouseWrites(t *testing.T) {
	def := meshtest.Definition(t)
	for name, c := range map[string]struct {
		variables map[string]cty.Value
		prefix    request.ServicePrefix
		ingress   []string
		site      [][]byte
	}{
		"a shared Consul": {site(), prefix, []string{"edge-envoy", "other"}, nil},
		"one of our own":  {own(), "", nil, [][]byte{consul.MeshEntry(), consul.ProxyDefaultsEntry()}},
	} {
		t.Run(name, func(t *testing.T) {
			entries := registry.ConfigEntries(def, c.prefix)
			registry.Admit(def, c.prefix, entries, c.ingress)
			want := map[string]any{}
			for _, entry := range entries {
				text, err := registry.EncodeEntry(entry)
				if err != nil {
					t.Fatal(err)
				}
				want[entry.GetKind()+"/"+entry.GetName()] = body(t, string(text))
			}
			for _, text := range c.site {
				entry, err := api.DecodeConfigEntryFromJSON(text)
				if err != nil {
					t.Fatal(err)
				}
				want[entry.GetKind()+"/"+entry.GetName()] = body(t, string(text))
			}
			got := map[string]any{}
			for _, r := range made(t, "mesh", c.variables) {
				got[r.text("kind")+"/"+r.text("name")] = body(t, r.text("config_json"))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-gatehouse +module:\n%s", diff)
			}
		})
	}
}

// body is an entry without its kind and name.
func body(t *testing.T, text string) map[string]any {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	delete(fields, "Kind")
	delete(fields, "Name")
	return fields
}

// The module consul-acl makes the policies, rules and the auth method that `gatehouse` writes.
func TestACLsAreWhatGatehouseWrites(t *testing.T) {
	def := meshtest.Definition(t)
	for name, variables := range map[string]map[string]cty.Value{"a shared Consul": site(), "one of our own": own()} {
		t.Run(name, func(t *testing.T) {
			servicePrefix := request.ServicePrefix(variables["service_prefix"].AsString())
			want := map[string]any{}
			for _, service := range registry.Services(def) {
				policy, rule := registry.ServicePolicy(def, service, servicePrefix), registry.BindingRule(service, servicePrefix)
				want["policy "+policy.Name] = []string{policy.Description, policy.Rules}
				want["rule "+rule.BindName] = []string{rule.Description, string(rule.BindType), rule.Selector}
			}
			for _, node := range variables["nomad_clients"].AsValueSlice() {
				policy := registry.NomadClientPolicy(node.AsString(), servicePrefix)
				want["policy "+policy.Name] = []string{policy.Description, policy.Rules}
			}
			if variables["own_cluster"].True() {
				method := registry.Login(variables["jwks_url"].AsString(), variables["jwks_ca"].AsString())
				config, err := json.Marshal(method.Config)
				if err != nil {
					t.Fatal(err)
				}
				want["method "+method.Name] = []string{method.Type, method.Description, string(config)}
			}
			got := map[string]any{}
			for _, r := range made(t, "consul-acl", variables) {
				switch r.kind {
				case "consul_acl_policy":
					got["policy "+r.text("name")] = []string{r.text("description"), r.text("rules")}
				case "consul_acl_binding_rule":
					got["rule "+r.text("bind_name")] = []string{r.text("description"), r.text("bind_type"), r.text("selector")}
				case "consul_acl_auth_method":
					got["method "+r.text("name")] = []string{r.text("type"), r.text("description"), r.text("config_json")}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-gatehouse +module:\n%s", diff)
			}
		})
	}
}

// The module nomad makes the namespace and the policies that `gatehouse` writes.
func TestNomadIsWhatGatehouseWrites(t *testing.T) {
	namespace, policies, err := acl.Wanted()
	if err != nil {
		t.Fatal(err)
	}
	// The provider writes empty lists where nothing is said, and Nomad tells them from none.
	if c := namespace.Capabilities; namespace.Meta == nil || c.DisabledTaskDrivers == nil || c.EnabledNetworkModes == nil || c.DisabledNetworkModes == nil {
		t.Errorf("namespace.json leaves something out: %+v", c)
	}
	want := map[string]any{"namespace " + namespace.Name: []string{namespace.Description, strings.Join(namespace.Capabilities.EnabledTaskDrivers, " ")}}
	for _, policy := range policies {
		want["policy "+policy.Name] = []string{policy.Description, policy.Rules}
	}
	got := map[string]any{}
	for _, r := range made(t, "nomad", nil) {
		switch r.kind {
		case "nomad_namespace":
			got["namespace "+r.text("name")] = []string{r.text("description"), r.text("drivers")}
		case "nomad_acl_policy":
			got["policy "+r.text("name")] = []string{r.text("description"), r.text("rules_hcl")}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-gatehouse +module:\n%s", diff)
	}
}

// plans is a folder with what Terraform itself plans, as `terraform show -json` prints it: tools/terraform-check makes it.
var plans = flag.String("plans", "", "folder with plans of Terraform to compare instead of what is evaluated here")

// made are the resources of a module: evaluated here, or planned by Terraform where there are plans.
func made(t *testing.T, name string, variables map[string]cty.Value) []resource {
	t.Helper()
	kind := "site"
	if name == "nomad" || variables["own_cluster"].True() {
		kind = "own"
	}
	if *plans == "" || name == "consul-acl" && kind == "site" { // its plan asks Consul for the method
		return load(t, "modules/"+name, variables).made(t)
	}
	text, err := os.ReadFile(filepath.Join(*plans, name+"-"+kind+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return planned(t, text)
}

// made evaluates the resources, with the drivers of a namespace, which stand in a block of theirs.
func (m *module) made(t *testing.T) []resource {
	t.Helper()
	all := m.resources(t, "resource")
	for _, r := range all {
		if r.kind == "nomad_namespace" {
			r.attributes["drivers"] = cty.StringVal(m.nested(t, r.kind, "capabilities", "enabled_task_drivers"))
		}
	}
	return all
}

func planned(t *testing.T, text []byte) []resource {
	t.Helper()
	var plan struct {
		PlannedValues struct {
			RootModule struct {
				Resources []struct {
					Mode, Type, Name string
					Index            any
					Values           map[string]any
				}
			} `json:"root_module"`
		} `json:"planned_values"`
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	var all []resource
	for _, p := range plan.PlannedValues.RootModule.Resources {
		if p.Mode != "managed" {
			continue
		}
		r := resource{kind: p.Type, name: p.Name, key: fmt.Sprint(p.Index), attributes: map[string]cty.Value{}}
		for name, value := range p.Values {
			switch v := value.(type) {
			case string:
				r.attributes[name] = cty.StringVal(v)
			case []any:
				if name == "capabilities" && len(v) == 1 {
					fields, _ := v[0].(map[string]any)
					r.attributes["drivers"] = cty.StringVal(strings.Trim(fmt.Sprint(fields["enabled_task_drivers"]), "[]"))
				}
			}
		}
		all = append(all, r)
	}
	return all
}

// nested is a list in a block of a resource that there is once, its elements joined.
func (m *module) nested(t *testing.T, kind, block, attribute string) string {
	t.Helper()
	var words []string
	for _, b := range m.blocks {
		if b.Type != "resource" || b.Labels[0] != kind {
			continue
		}
		for _, inner := range b.Body.Blocks {
			if a := inner.Body.Attributes[attribute]; inner.Type == block && a != nil {
				for _, v := range m.value(t, a.Expr, nil).AsValueSlice() {
					words = append(words, v.AsString())
				}
			}
		}
	}
	return strings.Join(words, " ")
}
