package cluster_test

import (
	"fmt"
	"path"
	"testing"

	nomad "github.com/hashicorp/nomad/api"
)

// What runs is what the job files say, with the folder of programs that was rolled to last.
func TestThePlanOfWhatRunsIsEmpty(t *testing.T) {
	c := running(t)
	client := c.nomad(t)
	for _, job := range append([]string{"postgres"}, programs...) {
		info, _, err := client.Jobs().Info(job, nil)
		if err != nil {
			t.Fatal(err)
		}
		folder := ""
		for _, task := range info.TaskGroups[0].Tasks {
			if command, ok := task.Config["command"].(string); ok {
				folder = path.Dir(command)
			}
		}
		// Exit code 1: something would be changed.
		out, err := output(c.command(t, "nomad", "job", "plan", "-diff", "-var-file=nomad/vars/dev.hcl", "-var", "programs="+folder, "nomad/jobs/"+job+".nomad.hcl"))
		if err != nil {
			t.Errorf("%s: %v\n%s", job, err, out)
		}
		wanted, err := client.Jobs().ParseHCLOpts(&nomad.JobsParseRequest{
			JobHCL: c.says(t, "cat", "nomad/jobs/"+job+".nomad.hcl"), Canonicalize: true,
			Variables: fmt.Sprintf("trust_domain = %q\nprograms = %q\n", c.value("GATEHOUSE_MESH_TRUST_DOMAIN"), folder),
		})
		if err != nil {
			t.Fatal(err)
		}
		plan, _, err := client.Jobs().Plan(wanted, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if plan.Diff == nil || plan.Diff.Type != "None" {
			t.Errorf("%s: %+v, want no difference to version %d", job, plan.Diff, *info.Version)
		}
	}
}
