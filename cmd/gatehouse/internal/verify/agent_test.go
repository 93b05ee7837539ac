package verify

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// An agent that is open in one way is found out; the one of the platform gives nothing (R87).
func TestAnOpenAgentIsFoundOut(t *testing.T) {
	const (
		blocked  = `block_endpoints = ["/v1/agent/connect/ca/leaf"]`
		noBlocks = `block_endpoints = []`
		leaf     = "/v1/agent/connect/ca/leaf/gatehouse-auth"
	)
	plain := freeport.GetOne(t)
	for name, c := range map[string]struct {
		changes []string
		ports   []int // beside the agent's usual ones
		tooMuch bool
		want    []string
	}{
		"as the platform runs it": {},
		"the keys of running services for whoever has a certificate": {
			changes: []string{blocked, noBlocks}, want: []string{"without a token -> https://API" + leaf},
		},
		"no certificate asked for": {
			changes: []string{blocked, noBlocks, "verify_incoming = true", "verify_incoming = false"},
			want:    []string{"without a certificate -> https://API" + leaf, "with a certificate of its own making -> https://API" + leaf, "without a token -> https://API" + leaf},
		},
		"plain HTTP": {
			changes: []string{blocked, noBlocks, "http     = -1", "http     = " + strconv.Itoa(plain)}, ports: []int{plain},
			want: []string{"without TLS -> http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(plain)) + leaf, "without a token -> https://API" + leaf},
		},
		"everything allowed that is not denied": {
			changes: []string{`default_policy           = "deny"`, `default_policy           = "allow"`},
			want: []string{
				"without a token -> https://API/v1/agent/services", "without a token -> https://API/v1/catalog/connect/gatehouse-auth",
				"without a token -> " + deltaStream, "without a token -> /hashicorp.consul.connectca.ConnectCAService/Sign",
			},
		},
		"a service's token that may do too much": {
			tooMuch: true,
			want:    []string{"with another service's token -> " + deltaStream, "with another service's token -> /hashicorp.consul.connectca.ConnectCAService/Sign"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := consultest.NewOneMachine(t, c.changes...)
			d, foreign := doorOf(t, o)
			for _, port := range c.ports {
				d.ports = append(d.ports, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			}
			if c.tooMuch {
				foreign = o.Token
			}
			report, asked := reported(t, d, foreign)
			said := strings.ReplaceAll(strings.Join(report.Wrong, "\n"), o.HTTPS, "API")
			for _, want := range c.want {
				if !strings.Contains(said, want+" by the Consul agent must be refused and was passed") {
					t.Errorf("it is not said that %s passes", want)
				}
			}
			if len(c.want) == 0 && said != "" || strings.Contains(said, "PRIVATE") || strings.Contains(said, "broken") || report.Agent != asked {
				t.Errorf("%d of %d, and this is said:\n%s", report.Agent, asked, said)
			}
		})
	}
}

// reported asks an agent everything and returns the report and how many questions there were.
func reported(t *testing.T, d door, foreign string) (*Report, int) {
	t.Helper()
	probes := d.probes(instance{program: "auth", name: "auth", id: "gatehouse-auth"}, foreign)
	results, err := askAll(t.Context(), probes)
	if err != nil {
		t.Fatal(err)
	}
	report := &Report{Results: results}
	report.conclude(&mesh.Definition{})
	return report, len(probes)
}

// doorOf runs auth with a sidecar, whose private key the agent then has, and a service that may
// have nothing of it.
func doorOf(t *testing.T, o *consultest.OneMachine) (door, string) {
	t.Helper()
	if err := o.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name: "gatehouse-auth", Port: 1, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Port: 2}},
	}); err != nil {
		t.Fatal(err)
	}
	_, _, err := o.Agent().ConnectCALeaf("gatehouse-auth", nil) // as its sidecar has by xDS; refused where the endpoint is closed
	if err != nil && !strings.Contains(err.Error(), "403") {
		t.Fatal(err)
	}
	foreign, _, err := o.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "gatehouse-audit"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := o.Agent().ConnectCARoots(nil)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	d := door{
		node: platform.NodeName, signs: true, api: o.HTTPS, xds: o.XDS, ports: []string{o.HTTPS, o.XDS, o.RPC, o.Gossip}, ca: x509.NewCertPool(), client: client,
		mesh: request.Mesh{TrustDomain: list.TrustDomain, Datacenter: agent.Datacenter, Prefix: "gatehouse-"},
	}
	d.ca.AppendCertsFromPEM([]byte(o.Certificates.CA))
	return d, foreign.SecretID
}
