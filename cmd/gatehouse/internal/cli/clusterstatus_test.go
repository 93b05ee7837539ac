package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
)

// What is not healthy stands where an operator looks: at the door, in the list of jobs, which has
// those too that nobody has run, and above all when the start has not ended.
func TestClusterStatusInText(t *testing.T) {
	var out bytes.Buffer
	status := cluster.Status{
		URL: "https://10.203.1.1", Door: "503 Service Unavailable",
		Hosts: []cluster.HostStatus{{Name: "client-1", Address: "10.203.0.21", PID: 7, State: "cut off", Consul: "failed", Nomad: "down"}},
		Jobs: []cluster.JobStatus{
			{Name: "auth", State: "1 of 3 run", Wanted: 3, Running: 1}, {Name: "gateway", State: "absent: run it with `nomad job run nomad/jobs/gateway.nomad.hcl`"},
		},
		Allocations: []cluster.Allocation{{ID: "0a1b2c3d", Job: "auth", Host: "client-2", State: "running", Tasks: "serve running", Version: 4}},
	}
	if err := printCluster(&Console{Out: &out}, status); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"gateway https://10.203.1.1/readyz: 503 Service Unavailable", "start has not come to its end", "client-1 10.203.0.21 7 cut off failed down",
		"JOB WANTED RUNNING STATE auth 3 1 1 of 3 run gateway 0 0 absent: run it with `nomad job run", "auth serve running client-2 running 0a1b2c3d 4",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	out.Reset()
	status.Started = true
	if err := printCluster(&Console{Out: &out}, status); err != nil || strings.Contains(out.String(), "start") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
