package cluster_test

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hostStatus is what `cluster status` tells of a host.
type hostStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	PID     int    `json:"pid"`
}

// hosts are those of the cluster by name.
func (c *cluster) hosts(t *testing.T) map[string]hostStatus {
	t.Helper()
	out, err := c.cli("status", "-o", "json")
	var status struct {
		Hosts []hostStatus `json:"hosts"`
	}
	if json.Unmarshal([]byte(out), &status) != nil || len(status.Hosts) != 3 {
		t.Fatalf("cluster status: %v\n%s", err, out)
	}
	all := map[string]hostStatus{}
	for _, h := range status.Hosts {
		all[h.Name] = h
	}
	return all
}

// asked asks a URL from there, without a certificate and without a token. It returns the status of the
// answer, "000" when there was none.
func (p place) asked(t *testing.T, url string) (status, body string) {
	t.Helper()
	out, _ := output(exec.CommandContext(t.Context(), "nsenter", "--net=/proc/"+strconv.Itoa(p.pid)+"/ns/net",
		"curl", "--noproxy", "*", "-sk", "-m", "5", "-w", "\n%{http_code}", url)) // no answer is one too
	i := strings.LastIndex(out, "\n")
	return out[i+1:], out[:max(i, 0)]
}

// R75, R82: from a foreign job, and from its host, without a certificate Consul answers nobody and Nomad's clients neither. Nomad's servers,
// which Consul must be able to ask, answer without a token what is in this list and nothing else.
func TestAPIsAreClosed(t *testing.T) {
	c := running(t)
	c.explains(t)
	hosts := c.hosts(t)
	from, client, server := c.stranger(t, withPostgres), hosts[withPostgres].Address, hosts["server"].Address
	for _, url := range []string{
		"https://" + server + ":8501/v1/status/leader", "https://127.0.0.1:8501/v1/status/leader", "https://" + client + ":8501/v1/status/leader",
		"https://" + client + ":4646/v1/status/leader", "https://127.0.0.1:4646/v1/status/leader", "https://" + bridge + ":4646/v1/status/leader",
		"http://" + server + ":8500/v1/status/leader", "http://" + server + ":4646/v1/status/leader",
	} {
		for _, there := range []place{from, {hosts[withPostgres].PID}} {
			if status, body := there.asked(t, url); status != "000" && status != "400" { // 400: HTTP to a port of HTTPS
				t.Errorf("%s answers %s: %s", url, status, body)
			}
		}
	}
	open := map[string]string{ // what must be in the answer
		"status/leader": ":4647", "status/peers": ":4647", "regions": "global", "agent/health": "ok", "metrics": "Counters",
		"namespaces": "[]", "vars": "[]", "plugins": "[]", "volumes": "[]", "acl/policies": "[]", "acl/roles": "[]", "acl/auth-methods": "[]", "acl/token/self": `"anonymous"`,
	}
	paths := []string{
		"jobs", "job/identity", "allocations", "nodes", "evaluations", "deployments", "services", "agent/self", "agent/members", "agent/monitor",
		"operator/raft/configuration", "operator/scheduler/configuration", "acl/tokens", "var/nomad/jobs/auth/auth/serve", "scaling/policies",
	}
	for path := range open {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		status, body := from.asked(t, "https://"+server+":4646/v1/"+path)
		want, listed := open[path]
		if listed && (status != "200" || !strings.Contains(body, want)) || !listed && status != "403" {
			t.Errorf("%s answers %s: %.200s", path, status, body)
		}
	}
	if status, body := from.asked(t, "https://"+server+":4646/.well-known/jwks.json"); status != "200" || !strings.Contains(body, "keys") {
		t.Errorf("the keys, which Consul needs: %s: %s", status, body)
	}
}
