package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
)

// Status is how a cluster is.
type Status struct {
	Healthy     bool         `json:"healthy"` // hosts, agents, the door, and every job with all instances that it should have
	Started     bool         `json:"started"` // its start has come to its end
	URL         string       `json:"url"`
	Door        string       `json:"door"` // what /readyz answers there, or why nobody does
	Hosts       []HostStatus `json:"hosts"`
	Jobs        []JobStatus  `json:"jobs"` // of the definition
	Allocations []Allocation `json:"allocations"`
}

// HostStatus is how a host is.
type HostStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	PID     int    `json:"pid"`    // of its first process
	State   string `json:"state"`  // running, failed, or cut off
	Consul  string `json:"consul"` // alive, or what the catalog says instead
	Nomad   string `json:"nomad"`  // ready, or what Nomad says instead
}

const (
	running    = "running"
	lookAtMost = 10 * time.Second
)

// Look finds out how the cluster is, which should run a job for each of the names. What cannot be
// asked is told in the place of the answer.
func Look(ctx context.Context, dir state.Dir, r Record, jobs []string) Status {
	ctx, cancel := context.WithTimeout(ctx, lookAtMost)
	defer cancel()
	status := Status{URL: r.URL, Started: r.Healthy, Healthy: r.Healthy}
	var open bool
	status.Door, open = door(ctx, dir, r)
	members, nodes := members(ctx, dir, r), nodes(ctx, dir, r)
	for _, h := range r.Hosts {
		one := HostStatus{Name: h.Name, Address: h.Address, PID: h.First.PID, State: running, Consul: members(h.Name), Nomad: nodes(h.Name)}
		switch {
		case h.Failed || !h.First.Alive():
			one.State = "failed"
		case h.Cut:
			one.State = "cut off"
		}
		status.Healthy = status.Healthy && one.State == running && one.Consul == "alive" && (one.Nomad == "ready" || h.Server && one.Nomad == "alive")
		status.Hosts = append(status.Hosts, one)
	}
	status.Jobs, status.Allocations = lookAtJobs(ctx, dir, r, jobs)
	lacks := func(j JobStatus) bool { return j.State != running }
	waits := func(a Allocation) bool { return a.State != api.AllocClientStatusRunning }
	status.Healthy = status.Healthy && open && !slices.ContainsFunc(status.Jobs, lacks) && !slices.ContainsFunc(status.Allocations, waits)
	return status
}

// door asks the balancer whether a gateway is ready.
func door(ctx context.Context, dir state.Dir, r Record) (answer string, open bool) {
	raw, err := dir.ReadSecret(SiteCA)
	if err != nil {
		return err.Error(), false
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(raw))
	client := &http.Client{Timeout: attemptTimeout, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/readyz", nil)
	if err != nil {
		return err.Error(), false
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error(), false
	}
	defer func() { _ = response.Body.Close() }()
	return response.Status, response.StatusCode == http.StatusOK
}

// members tells what Consul says of each host.
func members(ctx context.Context, dir state.Dir, r Record) func(host string) string {
	client, err := Consul(dir, r)
	if err != nil {
		return func(string) string { return err.Error() }
	}
	var all []*consul.AgentMember
	if _, err := client.Raw().Query("/v1/agent/members", &all, asked(ctx)); err != nil { // the library's own call knows no context
		return func(string) string { return err.Error() }
	}
	return func(host string) string {
		i := slices.IndexFunc(all, func(m *consul.AgentMember) bool { return m.Name == host })
		if i < 0 {
			return "unknown"
		}
		return [...]string{"none", "alive", "leaving", "left", "failed"}[all[i].Status]
	}
}

// nodes tells what Nomad says of each host.
func nodes(ctx context.Context, dir state.Dir, r Record) func(host string) string {
	client, err := Nomad(dir, r)
	if err != nil {
		return func(string) string { return err.Error() }
	}
	all, _, err := client.Nodes().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return func(string) string { return err.Error() }
	}
	servers, err := client.Agent().MembersOpts((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return func(string) string { return err.Error() }
	}
	return func(host string) string {
		for _, node := range all {
			if node.Name == host {
				if node.SchedulingEligibility != api.NodeSchedulingEligible {
					return node.Status + ", " + node.SchedulingEligibility
				}
				return node.Status
			}
		}
		for _, member := range servers.Members {
			if strings.HasPrefix(member.Name, host+".") {
				return member.Status
			}
		}
		return "unknown"
	}
}

// Environ are the variables by which the commands of Nomad, Consul and others reach the cluster.
func Environ(dir state.Dir, r Record) ([][2]string, error) {
	nomadToken, err := dir.ReadSecret(NomadToken)
	if err != nil {
		return nil, err
	}
	return append(variables(r, dir.SecretPath, nomadToken), [][2]string{
		{"NOMAD_VAR_trust_domain", r.TrustDomain},
		{"GATEHOUSE_URL", r.URL},
		{"CURL_CA_BUNDLE", dir.SecretPath(SiteCA)},
		{"GATEHOUSE_CLI_STATE", dir.Root()},
		{"GATEHOUSE_CLI_CLUSTER", dir.Root()},
		{"GATEHOUSE_MESH_TRUST_DOMAIN", r.TrustDomain},
	}...), nil
}

// variables are those that a site's operator needs, with the operator's files.
func variables(r Record, file func(name string) string, nomadToken string) [][2]string {
	return [][2]string{
		{"NOMAD_ADDR", r.Nomad},
		{"NOMAD_CACERT", file(AgentsCA)},
		{"NOMAD_CLIENT_CERT", file(OperatorCert)},
		{"NOMAD_CLIENT_KEY", file(OperatorKey)},
		{"NOMAD_TOKEN", nomadToken},
		{"NOMAD_NAMESPACE", operator.Namespace},
		{"CONSUL_HTTP_ADDR", "https://" + r.Consul},
		{"CONSUL_CACERT", file(AgentsCA)},
		{"CONSUL_CLIENT_CERT", file(OperatorCert)},
		{"CONSUL_CLIENT_KEY", file(OperatorKey)},
		{"CONSUL_HTTP_TOKEN_FILE", file(ConsulToken)},
		{"GATEHOUSE_MESH_SERVICE_PREFIX", r.Prefix},
		{"GATEHOUSE_MESH_DATACENTER", agent.Datacenter},
	}
}
