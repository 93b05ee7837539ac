package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

const anonymous = "00000000-0000-0000-0000-000000000002"

func policy(t *testing.T, o *consultest.OneMachine, name, rules string) {
	t.Helper()
	_, _, err := o.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	check.NoError(t, err)
}

// token is a token of these policies.
func token(t *testing.T, o *consultest.OneMachine, description string, policies ...string) *api.ACLToken {
	t.Helper()
	want := &api.ACLToken{Description: description}
	for _, name := range policies {
		want.Policies = append(want.Policies, &api.ACLTokenPolicyLink{Name: name})
	}
	made, _, err := o.ACL().TokenCreate(want, nil)
	check.NoError(t, err)
	return made
}

// as is the site asked with a token.
func as(t *testing.T, o *consultest.OneMachine, site *doctor.Site, token *api.ACLToken) *doctor.Site {
	t.Helper()
	client, err := api.NewClient(&api.Config{
		Address: o.HTTPS, Scheme: "https", Token: token.SecretID, TLSConfig: api.TLSConfig{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile},
	})
	check.NoError(t, err)
	other := *site
	other.Consul = client
	return &other
}

func TestTheAnonymousToken(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	policy(t, o, "reads", `service_prefix "" { policy = "read" }`)
	policy(t, o, "sidecars", `service "gatehouse-authz-sidecar-proxy" { policy = "write" } service "gatehouse-authz" { policy = "write" }`)
	for name, level := range map[string]doctor.Level{"reads": doctor.Warning, "sidecars": doctor.Danger} {
		_, _, err := o.ACL().TokenUpdate(&api.ACLToken{AccessorID: anonymous, Policies: []*api.ACLTokenPolicyLink{{Name: name}}}, nil)
		check.NoError(t, err)
		wants(t, site, "consul-anonymous", level, name, "the anonymous token", "PUT /v1/acl/token/"+anonymous)
		_, err = o.Raw().Write("/v1/acl/token/"+anonymous, map[string]string{}, nil, nil)
		check.NoError(t, err)
		wants(t, site, "consul-anonymous", doctor.OK)
	}
	_, err := o.Agent().UpdateDefaultACLToken(token(t, o, "default", "sidecars").SecretID, nil)
	check.NoError(t, err)
	wants(t, site, "consul-anonymous", doctor.Danger, "the agent's default token", "gatehouse-authz")
}

// The agent's cache has the leaf of a service that runs, and gives it to anybody (R87).
func TestALeafWithoutAToken(t *testing.T) {
	t.Parallel()
	o, site := newSite(t, `block_endpoints = ["/v1/agent/connect/ca/leaf"]`, "")
	check.NoError(t, o.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name: "shop", Port: 1, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{}},
	}))
	check.Within(t, 20*time.Second, "the sidecar's configuration asks for its certificate", func() error {
		_, _, err := o.Agent().ConnectCALeaf("shop", nil)
		return err
	})
	wants(t, site, "consul-leaf", doctor.Danger, "private key of shop", "block_endpoints")
}

func TestTheGivenToken(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	policy(t, o, "applies", `acl = "write" service_prefix "gatehouse-" { policy = "write" intentions = "write" }`)
	policy(t, o, "rules", `acl = "write"`)
	policy(t, o, "looks", `acl = "read" operator = "read" agent_prefix "" { policy = "read" } node_prefix "" { policy = "read" } service_prefix "" { policy = "read" intentions = "read" }`)
	wants(t, as(t, o, site, token(t, o, "t", "applies")), "consul-token", doctor.OK)
	wants(t, as(t, o, site, token(t, o, "t", "rules")), "consul-token", doctor.Warning, "may not write services and their intentions")
	wants(t, as(t, o, site, token(t, o, "t")), "consul-token", doctor.Warning, "may not write acl")
	looks := as(t, o, site, token(t, o, "t", "looks"))
	wants(t, looks, "consul-token", doctor.Warning, "may not write acl, services")
	check.NoError(t, registry.WritePolicies(t.Context(), o.Client, site.Definition, prefix))
	report, err := doctor.Examine(t.Context(), looks)
	check.NoError(t, err)
	for _, f := range report.Findings {
		if f.Level == doctor.Untried && !strings.HasPrefix(f.ID, "nomad-") {
			t.Errorf("who may look is not told %+v", f)
		}
	}
}
