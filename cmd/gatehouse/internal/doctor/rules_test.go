package doctor_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

const stockSelector = `"nomad_service" in value`

// Nomad's own rule is named, and the command that doctor prints closes it for our names and leaves
// it to others.
func TestTheStockRule(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	wants(t, site, "binding-rules", doctor.OK)
	stock(t, o, nomadtest.New(t))
	f := wants(t, site, "binding-rules", doctor.Danger, "gatehouse-audit, gatehouse-auth, gatehouse-authz and 3 more", "${value.nomad_service}", `not matches "(?i)^gatehouse-"`)
	does(t, o, f.Fix)
	wants(t, site, "binding-rules", doctor.OK)
	rules, _, err := o.ACL().BindingRuleList(registry.AuthMethod, nil)
	check.NoError(t, err)
	for _, rule := range rules {
		if rule.BindType == api.BindingRuleBindTypeService && !strings.HasPrefix(rule.Selector, stockSelector+" and ") {
			t.Errorf("the rule is now %+v", rule)
		}
	}
}

// foreigners are jobs that try to be Authz.
var foreigners = []workload{
	{"default", "shop", "gatehouse-authz"},
	{"default", "authz", "gatehouse-authz"},
	{"default", "shop", "GATEHOUSE-AUTHZ"}, // Consul makes names lower case after it has compared them
	{"default", "shop", "Gatehouse-authz"},
	{"default", "shop", "gatehouse-authz-sidecar-proxy"},
	{"gatehouse", "shop", "gatehouse-authz"},
	{"shop", "shop", "gatehouse-authz"},
	{"default", "shop", "authz"},
	{"default", "shop", "shop"},
	{"default", "shop", ""},
}

const named = "${value.nomad_service}"

// rules are by whom they are for, and whether a foreign job gets a name of ours by them.
var rules = map[string]struct {
	rule   api.ACLBindingRule
	danger bool
}{
	"none but ours":                 {api.ACLBindingRule{}, false},
	"everybody":                     {api.ACLBindingRule{BindType: "service", BindName: named}, true},
	"who names a service":           {api.ACLBindingRule{BindType: "service", BindName: named, Selector: stockSelector}, true},
	"all but us":                    {api.ACLBindingRule{BindType: "service", BindName: named, Selector: stockSelector + ` and value.nomad_service not matches "(?i)^gatehouse-"`}, false},
	"all but us, in lower case":     {api.ACLBindingRule{BindType: "service", BindName: named, Selector: stockSelector + ` and value.nomad_service not matches "^gatehouse-"`}, true},
	"all but us, negated":           {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `not (value.nomad_service matches "(?i)^gatehouse-")`}, false},
	"but one of us":                 {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `value.nomad_service != "gatehouse-auth"`}, true},
	"another namespace":             {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `value.nomad_namespace == "shop"`}, true},
	"not our namespace":             {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `value.nomad_namespace != "gatehouse"`}, true},
	"our namespace":                 {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `value.nomad_namespace == "gatehouse"`}, true},
	"our namespace and our job":     {api.ACLBindingRule{BindType: "service", BindName: "gatehouse-authz", Selector: `value.nomad_namespace == "gatehouse" and value.nomad_job_id == "authz"`}, false},
	"our job of any namespace":      {api.ACLBindingRule{BindType: "service", BindName: "gatehouse-authz", Selector: `value.nomad_job_id == "authz"`}, true},
	"another's service":             {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `value.nomad_service == "shop"`}, false},
	"one of two":                    {api.ACLBindingRule{BindType: "service", BindName: named, Selector: `value.nomad_service == "shop" or value.nomad_namespace == "default"`}, true},
	"a name in front":               {api.ACLBindingRule{BindType: "service", BindName: "nomad-" + named}, false},
	"a part of ours in front":       {api.ACLBindingRule{BindType: "service", BindName: "gatehouse-" + named}, true},
	"a fixed name":                  {api.ACLBindingRule{BindType: "service", BindName: "shop"}, false},
	"ours, fixed":                   {api.ACLBindingRule{BindType: "service", BindName: "gatehouse-authz", Selector: `value.nomad_job_id == "shop"`}, true},
	"our policy":                    {api.ACLBindingRule{BindType: "policy", BindName: named}, true},
	"a policy that writes all":      {api.ACLBindingRule{BindType: "policy", BindName: "all"}, true},
	"management":                    {api.ACLBindingRule{BindType: "policy", BindName: "global-management"}, true},
	"a policy that reads":           {api.ACLBindingRule{BindType: "policy", BindName: "reads"}, false},
	"all but ours":                  {api.ACLBindingRule{BindType: "policy", BindName: "others"}, false},
	"the tasks' role":               {api.ACLBindingRule{BindType: "role", BindName: "nomad-${value.nomad_namespace}-tasks", Selector: `"nomad_service" not in value`}, false},
	"a tasks' role that writes":     {api.ACLBindingRule{BindType: "role", BindName: "bad-${value.nomad_namespace}-tasks", Selector: `"nomad_service" not in value`}, true},
	"a node":                        {api.ACLBindingRule{BindType: "node", BindName: "${value.nomad_job_id}"}, false},
	"a templated policy":            {api.ACLBindingRule{BindType: "templated-policy", BindName: "builtin/service", BindVars: &api.ACLTemplatedPolicyVariables{Name: named}}, true},
	"a templated policy of one":     {api.ACLBindingRule{BindType: "templated-policy", BindName: "builtin/service", BindVars: &api.ACLTemplatedPolicyVariables{Name: "shop"}}, false},
	"a templated policy of Nomad's": {api.ACLBindingRule{BindType: "templated-policy", BindName: "builtin/nomad-client"}, true},
	"a templated policy that reads": {api.ACLBindingRule{BindType: "templated-policy", BindName: "builtin/dns"}, false},
}

// What is said of a rule is what Consul does with it: it is named when a foreign job gets a name of
// ours by it, and closed by what is printed.
func TestRulesAsConsulTakesThem(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	nomad := newScheduler(t)
	check.NoError(t, registry.WritePolicies(t.Context(), o.Client, site.Definition, prefix))
	check.NoError(t, registry.WriteLogin(t.Context(), o.Client, site.Definition, prefix, registry.Login(nomad.server.URL, "")))
	makeRoles(t, o.Client)
	for name, c := range rules {
		t.Run(name, func(t *testing.T) {
			if c.rule.BindType != "" {
				c.rule.AuthMethod = registry.AuthMethod
				made, _, err := o.ACL().BindingRuleCreate(&c.rule, nil)
				check.NoError(t, err)
				c.rule.ID = made.ID
				t.Cleanup(func() { _, _ = o.ACL().BindingRuleDelete(made.ID, nil) })
			}
			taken := ""
			for _, w := range foreigners {
				if token := nomad.login(t, o, w); token != nil && is(t, o, token, "gatehouse-authz") {
					taken = w.namespace + "/" + w.job + " as " + w.service
				}
			}
			if (taken != "") != c.danger {
				t.Fatalf("Consul gives our name to %q", taken)
			}
			if !c.danger {
				wants(t, site, "binding-rules", doctor.OK)
				return
			}
			f := wants(t, site, "binding-rules", doctor.Danger, "authz")
			if strings.HasPrefix(f.Fix, "consul ") {
				does(t, o, f.Fix)
				wants(t, site, "binding-rules", doctor.OK)
				made, _, err := o.ACL().BindingRuleRead(c.rule.ID, nil)
				check.NoError(t, err)
				if made.BindType != c.rule.BindType || made.BindName != c.rule.BindName {
					t.Errorf("the fix has made it %+v", made)
				}
				for _, w := range foreigners {
					if token := nomad.login(t, o, w); token != nil && is(t, o, token, "gatehouse-authz") {
						t.Errorf("after the fix %+v is ours", w)
					}
				}
			}
			if token := nomad.login(t, o, workload{"gatehouse", "authz", "gatehouse-authz"}); token == nil || !is(t, o, token, "gatehouse-authz") {
				t.Errorf("our own job gets %+v", token)
			}
		})
	}
}

// makeRoles makes policies and roles of others.
func makeRoles(t *testing.T, consul *api.Client) {
	t.Helper()
	for name, rules := range map[string]string{
		"all": `service_prefix "" { policy = "write" }`, "reads": `service_prefix "" { policy = "read" } key_prefix "" { policy = "write" }`,
		"others": `service_prefix "" { policy = "write" } service_prefix "gatehouse-" { policy = "read" }`,
	} {
		_, _, err := consul.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
		check.NoError(t, err)
	}
	for role, policy := range map[string]string{"nomad-default-tasks": "reads", "bad-default-tasks": "all"} {
		_, _, err := consul.ACL().RoleCreate(&api.ACLRole{Name: role, Policies: []*api.ACLRolePolicyLink{{Name: policy}}}, nil)
		check.NoError(t, err)
	}
}
