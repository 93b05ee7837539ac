package doctor_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

const syncWithin = 20 * time.Second

// synced waits for the agent to tell the catalog.
func synced(o *consultest.OneMachine, service string) func() error {
	return func() error {
		all, _, err := o.Catalog().Service(service, "", nil)
		if err == nil && len(all) == 0 {
			err = errors.New("it has not")
		}
		return err
	}
}

// installed is a site with our policies and rules.
func installed(t *testing.T) (*consultest.OneMachine, *doctor.Site, *scheduler) {
	t.Helper()
	o, site := newSite(t)
	nomad := newScheduler(t)
	check.NoError(t, registry.WritePolicies(t.Context(), o.Client, site.Definition, prefix))
	check.NoError(t, registry.WriteLogin(t.Context(), o.Client, site.Definition, prefix, registry.Login(nomad.server.URL, "")))
	return o, site, nomad
}

var ourAuthz = workload{"gatehouse", "authz", "gatehouse-authz"}

// What got one of our names by a rule that was open keeps it when the rule is closed.
func TestTokensThatAreOurServices(t *testing.T) {
	t.Parallel()
	o, site, nomad := installed(t)
	nomad.login(t, o, ourAuthz)
	wants(t, site, "tokens-foreign", doctor.OK)
	open, _, err := o.ACL().BindingRuleCreate(&api.ACLBindingRule{AuthMethod: registry.AuthMethod, BindType: "service", BindName: named}, nil)
	check.NoError(t, err)
	theirs := nomad.login(t, o, workload{"default", "shop", "GATEHOUSE-authz"})
	_, err = o.ACL().BindingRuleDelete(open.ID, nil)
	check.NoError(t, err)
	wants(t, site, "binding-rules", doctor.OK)
	wants(t, site, "tokens-foreign", doctor.Danger, theirs.AccessorID, "the service identity of gatehouse-authz")
	does(t, o, "consul acl token delete -accessor-id "+theirs.AccessorID)
	wants(t, site, "tokens-foreign", doctor.OK)
	token(t, o, "for a host", "gatehouse-audit")
	wants(t, site, "tokens-foreign", doctor.Warning, "for a host", "made by hand, and never ends")
}

func TestTokensThatAreLeft(t *testing.T) {
	t.Parallel()
	o, site, nomad := installed(t)
	site.NoNomad = "no NOMAD_ADDR"
	wants(t, site, "tokens-left-over", doctor.OK)
	nomad.login(t, o, ourAuthz)
	wants(t, site, "tokens-left-over", doctor.Untried, "no NOMAD_ADDR")
	site.Nomad = nomadtest.New(t).Client
	wants(t, site, "tokens-left-over", doctor.Warning, "1 tokens of gatehouse-authz, and 0 of its allocations run")
	list, _, err := o.ACL().TokenList(nil)
	check.NoError(t, err)
	for _, one := range list {
		if one.AuthMethod != "" {
			does(t, o, "consul acl token delete -accessor-id "+one.AccessorID)
		}
	}
	wants(t, site, "tokens-left-over", doctor.OK)
	f := token(t, o, "gatehouse-verify-1")
	wants(t, site, "tokens-left-over", doctor.Warning, "never ends")
	does(t, o, "consul acl token delete -accessor-id "+f.AccessorID)
	policy(t, o, "gatehouse-verify-1", "")
	wants(t, site, "tokens-left-over", doctor.Warning, "the policy gatehouse-verify-1")
}

// A sidecar that runs without a token of its own works by somebody else's.
func TestASidecarWithoutAToken(t *testing.T) {
	t.Parallel()
	o, site, nomad := installed(t)
	wants(t, site, "proxies-anonymous", doctor.OK)
	check.NoError(t, o.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name: "gatehouse-authz", Port: 1, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{}},
	}))
	check.Within(t, syncWithin, "the catalog has it", synced(o, "gatehouse-authz-sidecar-proxy"))
	wants(t, site, "proxies-anonymous", doctor.Danger, "1 sidecars of gatehouse-authz run, and 0 tokens")
	nomad.login(t, o, ourAuthz)
	wants(t, site, "proxies-anonymous", doctor.OK)
}
