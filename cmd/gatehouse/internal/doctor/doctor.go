// Package doctor asks a site's Consul and Nomad whether Gatehouse can be installed there and is safe
// there, and says what to do where not: `gatehouse doctor`. It asks and changes nothing.
//
// Only commands of the CLI import it.
package doctor

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
)

// Site is where Gatehouse runs or is to run.
type Site struct {
	Name       string      // for people, such as "Consul at https://127.0.0.1:8501"
	Consul     *api.Client // with the operator's token
	Anonymous  *api.Client // the same agent, without a token
	Nomad      *nomad.Client
	NoNomad    string // why Nomad is nil
	Definition *mesh.Definition
	Entries    []api.ConfigEntry // that the site should have
	Prefix     request.ServicePrefix
	AuthMethod string // of Consul, by which Nomad's workloads log in
	Alone      bool   // Consul serves nobody else, and there is no Nomad
}

// check is one question to a site.
type check struct {
	id     string // stable: docs/operations/doctor.md has them all
	fine   string // said where nothing is wrong
	nomads bool   // it asks Nomad
	shared bool   // only a Consul that others use too can fail it
	ask    func(context.Context, *Site) ([]Finding, error)
}

// checks are all questions in the order of the report.
func checks() []check {
	return slices.Concat(consulChecks(), nomadChecks(), sharedChecks())
}

// consulChecks are about Consul itself.
func consulChecks() []check {
	return []check{
		{id: "consul-acl", fine: "Consul's ACLs are on and deny what no token allows", ask: consulACL},
		{id: "consul-tls", fine: "Consul's agent asks for certificates and sends nothing in clear", ask: consulTLS},
		{id: "consul-connect", fine: "Connect is on and denies what no intention allows", ask: consulConnect},
		{id: "consul-version", fine: "Consul is on the floor for production", ask: consulVersion},
		{id: "consul-anonymous", fine: "who shows no token may do nothing", ask: consulAnonymous},
		{id: "consul-leaf", fine: "no private key is given to who shows no token", ask: consulLeaf},
		{id: "consul-token", fine: "the given token suffices for an apply and is not Consul's first", shared: true, ask: consulToken},
		{id: "envoy-version", fine: "Consul is made for Envoys on the floor for production", ask: envoyVersion},
		{id: "mesh-permissive", fine: "no sidecar does without mTLS, and paths are normalized", shared: true, ask: permissive},
		{id: "intentions-wildcard", fine: "no intention is for everybody", ask: wildcardIntentions},
	}
}

// nomadChecks are about Nomad, and how its workloads log in to Consul.
func nomadChecks() []check {
	return []check{
		{id: "nomad-acl", fine: "Nomad's ACLs are on", nomads: true, ask: nomadACL},
		{id: "nomad-tls", fine: "Nomad's agents ask each other for certificates", nomads: true, ask: nomadTLS},
		{id: "nomad-version", fine: "Nomad is on the floor for production", nomads: true, ask: nomadVersion},
		{id: "nomad-token", fine: "the given token is for management and is not Nomad's first", nomads: true, ask: nomadToken},
		{id: "nomad-identity", fine: "Nomad gives each service an identity of its own for Consul", nomads: true, ask: nomadIdentity},
		{id: "nomad-hosts", fine: "Nomad's clients have what the jobs need", nomads: true, ask: nomadHosts},
		{id: "nomad-templates", fine: "no template may call caLeaf", nomads: true, ask: templates},
		{id: "nomad-raw-exec", fine: "no task is root on a Nomad client", nomads: true, ask: rawExecHosts},
		{id: "auth-method", fine: "the auth method says what Gatehouse's rules read, and its tokens do not end", shared: true, ask: authMethod},
		{id: "auth-method-keys", fine: "Nomad's keys are to be had where Consul asks for them", shared: true, ask: authMethodKeys},
		{id: "binding-rules", fine: "no binding rule gives a foreign job one of our names", shared: true, ask: bindingRules},
	}
}

// sharedChecks are about what others have beside us, and what was left.
func sharedChecks() []check {
	return []check{
		{id: "service-prefix", fine: "Gatehouse's services have a prefix", shared: true, ask: servicePrefix},
		{id: "entries-foreign", fine: "no config entry of somebody else has one of our names", shared: true, ask: entriesForeign},
		{id: "service-names", fine: "no instance of somebody else has one of our names", shared: true, ask: serviceNames},
		{id: "acl-names", fine: "no policy of somebody else has one of our names", shared: true, ask: aclNames},
		{id: "nomad-names", fine: "no namespace and no policy of somebody else in Nomad has one of our names", nomads: true, ask: nomadNames},
		{id: "tokens-foreign", fine: "no token is one of our services but those that our rules gave", shared: true, ask: tokensForeign},
		{id: "tokens-left-over", fine: "no token is left of what runs no more", shared: true, ask: tokensLeftOver},
		{id: "proxies-anonymous", fine: "every sidecar of ours that runs has been given a token", ask: proxiesAnonymous},
		{id: "entries-left-over", fine: "no config entry of ours is left that the definition does not have", shared: true, ask: entriesLeftOver},
		{id: "apply-changes", shared: true, ask: apply},
	}
}

// Examine asks everything. What cannot be asked is a finding as well; the error is ctx's.
func Examine(ctx context.Context, site *Site) (*Report, error) {
	report := &Report{Asked: site.Name, Prefix: string(site.Prefix)}
	for _, c := range checks() {
		if site.Alone && (c.shared || c.nomads) {
			continue
		}
		found, err := c.run(ctx, site)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			found = append(found, Finding{Level: Untried, What: err.Error()})
		}
		if len(found) == 0 {
			found = []Finding{{Level: OK, What: c.fine}}
		}
		for _, f := range found {
			f.ID = c.id
			report.Findings = append(report.Findings, f)
		}
	}
	return report, nil
}

func (c check) run(ctx context.Context, site *Site) ([]Finding, error) {
	if c.nomads && site.Nomad == nil {
		return nil, fmt.Errorf("Nomad was not asked: %s", site.NoNomad)
	}
	return c.ask(ctx, site)
}

// services are the names in Consul of all programs and backing services by the program's.
func (s *Site) services() map[string]string {
	all := map[string]string{}
	for _, program := range registry.Services(s.Definition) {
		all[program] = s.Prefix.Service(program)
	}
	return all
}

func asked(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}
