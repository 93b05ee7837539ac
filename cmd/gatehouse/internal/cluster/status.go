package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
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
	Healthy     bool         `json:"healthy"` // hosts, agents, and every job that should run
	URL         string       `json:"url"`
	Door        string       `json:"door"` // what /readyz answers there
	Hosts       []HostStatus `json:"hosts"`
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

// Allocation is one instance of a job that runs or should.
type Allocation struct {
	ID      string `json:"id"`
	Job     string `json:"job"`
	Host    string `json:"host"`
	State   string `json:"state"`
	Tasks   string `json:"tasks"`
	Version uint64 `json:"version"` // of the job
}

const (
	running    = "running"
	lookAtMost = 10 * time.Second
)

// Look finds out how the cluster is. What cannot be asked is told in the place of the answer.
func Look(ctx context.Context, dir state.Dir, r Record) Status {
	ctx, cancel := context.WithTimeout(ctx, lookAtMost)
	defer cancel()
	status := Status{URL: r.URL, Healthy: r.Healthy, Door: "answers: " + door(ctx, dir, r)}
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
	client, err := Nomad(dir, r)
	if err == nil {
		status.Allocations, err = allocations(ctx, client)
	}
	running := func(a Allocation) bool { return a.State == api.AllocClientStatusRunning }
	status.Healthy = status.Healthy && err == nil && !slices.ContainsFunc(status.Allocations, func(a Allocation) bool { return !running(a) })
	return status
}

// door asks the balancer whether a gateway is ready.
func door(ctx context.Context, dir state.Dir, r Record) string {
	raw, err := dir.ReadSecret(SiteCA)
	if err != nil {
		return err.Error()
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(raw))
	client := &http.Client{Timeout: attemptTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL+"/readyz", nil)
	if err != nil {
		return err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	return response.Status
}

// members tells what Consul says of each host.
func members(ctx context.Context, dir state.Dir, r Record) func(host string) string {
	client, err := Consul(dir, r)
	if err != nil {
		return func(string) string { return err.Error() }
	}
	all, err := client.Agent().MembersOpts(consul.MembersOpts{Segment: ""})
	if err != nil {
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

// allocations are those that run or should.
func allocations(ctx context.Context, client *api.Client) ([]Allocation, error) {
	all, _, err := client.Allocations().List((&api.QueryOptions{Namespace: operator.Namespace, Params: map[string]string{"task_states": "true"}}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Nomad's allocations: %w", err)
	}
	var found []Allocation
	for _, a := range all {
		if a.DesiredStatus != api.AllocDesiredStatusRun {
			continue
		}
		var tasks []string
		for name, state := range a.TaskStates {
			if state.State != "dead" || state.Failed {
				tasks = append(tasks, name+" "+state.State)
			}
		}
		slices.Sort(tasks)
		found = append(found, Allocation{ID: a.ID[:8], Job: a.JobID, Host: a.NodeName, State: a.ClientStatus, Tasks: strings.Join(tasks, ", "), Version: a.JobVersion})
	}
	slices.SortFunc(found, func(a, b Allocation) int { return strings.Compare(a.Job+a.Host+a.ID, b.Job+b.Host+b.ID) })
	return found, nil
}
