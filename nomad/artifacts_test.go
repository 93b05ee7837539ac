package nomad_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Where the hosts have no programs, every task has them and Envoy as artifacts with their checksums,
// the sidecar too, and the job is the same otherwise.
func TestJobsWithArtifacts(t *testing.T) {
	def := meshtest.Definition(t)
	want := []artifact{
		{GetterSource: "https://a.example/envoy?filename=envoy", RelativeDest: "local/gatehouse", GetterOptions: map[string]string{"checksum": "sha256:e"}},
		{GetterSource: "https://a.example/gatehouse.tar.gz", RelativeDest: "local/gatehouse", GetterOptions: map[string]string{"checksum": "sha256:g"}},
	}
	for _, name := range registry.Services(def) {
		t.Run(name, func(t *testing.T) {
			text := rendered(t, name, `artifacts = { "https://a.example/gatehouse.tar.gz" = "sha256:g", "https://a.example/envoy?filename=envoy" = "sha256:e" }`)
			if strings.Contains(text, programs) {
				t.Errorf("it still looks for programs on the host:\n%s", text)
			}
			j := decode(t, strings.ReplaceAll(text, "/local/gatehouse/", programs+"/"))
			g := &j.TaskGroups[0]
			for _, task := range g.Tasks {
				if diff := cmp.Diff(want, task.Artifacts); diff != "" {
					t.Errorf("the artifacts of %s (-want +job):\n%s", task.Name, diff)
				}
			}
			// As Nomad makes it (newConnectSidecarTask), which then merges sidecar_task into it; without
			// a config the server that does would panic (1.11.3).
			sidecar, made := g.Tasks[0], resources{CPU: 250, MemoryMB: 128}
			if own := g.Services[0].Connect.SidecarTask.Resources; own != nil {
				made = *own
			}
			if sidecar.Name != "connect-proxy-"+prefix+name || sidecar.Kind != "connect-proxy:"+prefix+name || sidecar.Driver != "exec" || len(sidecar.Config) == 0 ||
				time.Duration(sidecar.ShutdownDelay) != 5*time.Second || sidecar.Resources == nil || *sidecar.Resources != made ||
				sidecar.Lifecycle == nil || sidecar.Lifecycle.Hook != "prestart" || !sidecar.Lifecycle.Sidecar {
				t.Errorf("the sidecar's task is %+v", sidecar)
			}
			g.Tasks = g.Tasks[1:]
			if program, err := plan.Of(def).Program(name); err == nil { // none of PostgreSQL
				for _, problem := range problems(t, def, program, j) {
					t.Error(problem)
				}
			}
			if alone := render(t, name).TaskGroups[0]; len(alone.Tasks) != len(g.Tasks) || strings.Contains(fmt.Sprint(alone.Tasks), "a.example") {
				t.Errorf("without artifacts the tasks are %+v", alone.Tasks)
			}
		})
	}
}
