package cluster_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	nomad "github.com/hashicorp/nomad/api"
)

// explains prints what a reader needs when the test fails: the state of the site, and of each
// instance what has happened to its tasks and what they said last.
func (c *cluster) explains(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		out, _ := c.cli("status")
		t.Logf("%s", out)
		client := c.nomad(t)
		for _, job := range append([]string{"postgres"}, programs...) {
			all, _, err := client.Jobs().Allocations(job, false, nil)
			if err != nil {
				t.Logf("%s: %v", job, err)
				continue
			}
			slices.SortFunc(all, func(a, b *nomad.AllocationListStub) int { return int(b.CreateTime - a.CreateTime) })
			for _, a := range all[:min(len(all), 4)] {
				t.Logf("%s", explained(client, a))
			}
		}
	})
}

// explained is what has happened to an allocation, and the end of what its tasks said.
func explained(client *nomad.Client, a *nomad.AllocationListStub) string {
	const events, bytes = 4, 6000
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s on %s: %s, it should %s (version %d)\n", a.JobID, a.ID[:8], a.NodeName, a.ClientStatus, a.DesiredStatus, a.JobVersion)
	for name, task := range a.TaskStates {
		fmt.Fprintf(&b, "  %s: %s, %d restarts\n", name, task.State, task.Restarts)
		for _, e := range task.Events[max(0, len(task.Events)-events):] {
			fmt.Fprintf(&b, "    %s\n", e.DisplayMessage)
		}
		for _, kind := range []string{nomad.FSLogNameStdout, nomad.FSLogNameStderr} {
			frames, problems := client.AllocFS().Logs(&nomad.Allocation{ID: a.ID}, false, name, kind, nomad.OriginEnd, bytes, nil, nil)
			if frames == nil {
				fmt.Fprintf(&b, "    no %s: %v\n", kind, <-problems)
				continue
			}
			raw, _ := io.ReadAll(nomad.NewFrameReader(frames, problems, nil)) // the part that there is
			for line := range strings.Lines(string(raw)) {
				if line = strings.TrimSpace(line); !ordinary(line) {
					fmt.Fprintf(&b, "    %s| %s\n", kind, line)
				}
			}
		}
	}
	return b.String()
}

// ordinary lines tell of a call that went well, or that a field of Envoy is old.
func ordinary(line string) bool {
	for _, sign := range []string{`"code":"OK"`, `"details":"via_upstream"`, `"status":200`, "Deprecated field"} {
		if strings.Contains(line, sign) {
			return true
		}
	}
	return false
}
