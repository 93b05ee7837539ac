package registry

import (
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// What Nomad and Consul call each other: the method by which Nomad's workloads log in to Consul, as
// `nomad setup consul` names it, the audience of their tokens, and the namespace of our jobs.
const (
	AuthMethod     = "nomad-workloads"
	audience       = "consul.io"
	NomadNamespace = "gatehouse"
)

// What begins the description of what we write, for policies and rules have no Meta, and of what we
// write for a service, which is named then without its prefix.
const (
	ours   = "Gatehouse: "
	oursOf = ours + "service "
)

// Services are the names of all programs and backing services.
func Services(d *mesh.Definition) []string {
	var names []string
	for _, p := range d.Programs {
		names = append(names, p.Name)
	}
	for _, b := range d.Backings {
		names = append(names, b.Name)
	}
	return names
}

// ServicePolicy is what the sidecar of a program or backing service may do in Consul, and whoever
// registers it: write its own service and sidecar, and read those that it calls. A service identity
// could read all services there are.
func ServicePolicy(d *mesh.Definition, name string, prefix request.ServicePrefix) *api.ACLPolicy {
	var b strings.Builder
	fmt.Fprintf(&b, "# What the sidecar of %s may do, and Nomad for it. Generated from the contracts; do not edit.\n\n", name)
	rule := func(service, policy string) {
		for _, id := range []string{prefix.Service(service), SidecarID(prefix.Service(service))} {
			fmt.Fprintf(&b, "service \"%s\" {\n  policy = %q\n}\n\n", id, policy)
		}
	}
	rule(name, "write")
	p, err := d.Program(name)
	if err == nil && len(p.Upstreams) > 0 {
		b.WriteString("# Whom it calls.\n")
		for _, u := range p.Upstreams {
			rule(u.Name, "read")
		}
		b.WriteString("# On which hosts those are: nobody knows their names here.\n")
		b.WriteString("node_prefix \"\" {\n  policy = \"read\"\n}\n\n")
	}
	return &api.ACLPolicy{
		Name: prefix.Service(name), Description: oursOf + name, Rules: strings.TrimSuffix(b.String(), "\n"),
	}
}

// NomadClientPolicy is what the Nomad client on a node may do in Consul by itself: see the agent
// beside it, and take services out that have ended, which Consul asks write for. Workloads register
// theirs with their own identity. Whoever may write a service may have certificates signed for it,
// so each node has a token of its own, and other people's services are out of its reach.
func NomadClientPolicy(node string, prefix request.ServicePrefix) *api.ACLPolicy {
	return &api.ACLPolicy{
		Name: "nomad-client-" + node, Description: ours + "Nomad client " + node,
		Rules: fmt.Sprintf(`# What the Nomad client of a node may do by itself. Generated; do not edit.

agent "%s" {
  policy = "read"
}

# To take out those that have ended. Where jobs of others have services too, it is the prefix of
# all: "".
service_prefix "%s" {
  policy = "write"
}
`, node, prefix),
	}
}

// BindingRule gives a program's policy to the Nomad job of that name alone: by its namespace, its id
// and its service. The stock rule of `nomad setup consul` gives any job the service that it names
// (R83).
func BindingRule(name string, prefix request.ServicePrefix) *api.ACLBindingRule {
	service := prefix.Service(name)
	return &api.ACLBindingRule{
		Description: oursOf + name,
		AuthMethod:  AuthMethod,
		BindType:    api.BindingRuleBindTypePolicy,
		BindName:    service,
		Selector: fmt.Sprintf("value.nomad_namespace==%q and value.nomad_job_id==%q and value.nomad_service==%q",
			NomadNamespace, name, service),
	}
}

// Login is the method by which Nomad's workloads log in to Consul, which asks Nomad's servers at
// jwksURL for their keys, with ca, PEM, as their authority. It sets no MaxTokenTTL: a sidecar keeps
// the token that it began with, and an expired one ends it.
func Login(jwksURL, ca string) *api.ACLAuthMethod {
	return &api.ACLAuthMethod{
		Name: AuthMethod, Type: "jwt", Description: ours + "Nomad's workload identities",
		Config: map[string]any{
			"JWKSURL":          jwksURL,
			"JWKSCACert":       ca,
			"JWTSupportedAlgs": []string{"RS256"},
			"BoundAudiences":   []string{audience},
			"ClaimMappings": map[string]any{
				"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id", "nomad_service": "nomad_service",
			},
		},
	}
}
