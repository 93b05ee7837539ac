package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/request"
)

const (
	templateWithin = 45 * time.Second // for a job to be placed and to fail on every host
	foreign        = "default"        // Nomad's namespace of somebody else
	everyDriver    = "exec"
)

// Nomad is the scheduler that runs the instances.
type Nomad struct{ Client *api.Client }

// tryTemplates adds the question whether Nomad hands a program's certificate, with its key, to a
// template of a foreign job: templates are run by the agent, with its own rights.
// One program is enough: whether templates have the function does not depend on whose it is.
func (n *Nomad) tryTemplates(g *ground, programs []string, prefix request.ServicePrefix) {
	if n == nil || n.Client == nil {
		g.untried = append(g.untried, "a template with caLeaf in a foreign job: NOMAD_ADDR is not set")
		return
	}
	for _, program := range programs[:min(1, len(programs))] {
		g.more = append(g.more, probe{
			Caller: "a job of somebody else", Callee: program, Path: "caLeaf", Way: Template, Want: Refused, patience: templateWithin,
			ask: func(ctx context.Context) (Verdict, string) { return n.caLeaf(ctx, prefix.Service(program)) },
		})
	}
}

// caLeaf runs a job on every host whose template asks for a service's certificate, and takes it
// away again. What the template is given stays on the host, and goes with the job.
func (n *Nomad) caLeaf(ctx context.Context, service string) (Verdict, string) {
	job := templateJob(PolicyPrefix+uuid.NewString()[:8], service)
	write := &api.WriteOptions{Namespace: foreign}
	if _, _, err := n.Client.Jobs().Register(job, write.WithContext(ctx)); err != nil {
		return Unasked, fmt.Sprintf("the job cannot be run: %v: take a Nomad token that may submit jobs in the namespace %s", err, foreign)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		_, _, _ = n.Client.Jobs().Deregister(*job.ID, true, write.WithContext(ctx)) // it ends by itself as well
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		all, _, err := n.Client.Jobs().Allocations(*job.ID, true, (&api.QueryOptions{Namespace: foreign}).WithContext(ctx))
		if err == nil {
			if verdict, text := judged(all); verdict != Unasked {
				return verdict, text
			}
		}
		select {
		case <-ctx.Done():
			return Unasked, "its job was not placed on every host, or did not end, in time"
		case <-tick.C:
		}
	}
}

// judged is Unasked until every allocation has been refused, or one has not.
func judged(all []*api.AllocationListStub) (Verdict, string) {
	refused, said := 0, ""
	for _, a := range all {
		for _, name := range slices.Sorted(maps.Keys(a.TaskStates)) {
			for _, e := range a.TaskStates[name].Events {
				switch e.Type {
				case api.TaskStarted, api.TaskDriverFailure, api.TaskTerminated: // come after the templates
					return Passed, fmt.Sprintf("on %s the task was given it", a.NodeName)
				}
			}
		}
		if why := refusalOf(a); a.ClientStatus == api.AllocClientStatusFailed && why != "" {
			refused, said = refused+1, why
		}
	}
	if len(all) > 0 && refused == len(all) {
		return Refused, fmt.Sprintf("on %d hosts: %s", refused, said)
	}
	return Unasked, ""
}

// refusalOf is what Nomad says of the template of an allocation that failed of it, or "". A host
// that fails it of anything else, such as a full disk, has not been asked.
func refusalOf(a *api.AllocationListStub) string {
	for _, state := range a.TaskStates {
		for _, e := range slices.Backward(state.Events) {
			if strings.Contains(e.DisplayMessage, "Template failed") {
				return e.DisplayMessage
			}
		}
	}
	return ""
}

func templateJob(id, service string) *api.Job {
	job := api.NewSysbatchJob(id, id, "global", 50)
	job.Namespace, job.Region = new(foreign), nil
	job.Datacenters = []string{"*"}
	zero := 0
	fail := "fail"
	text := fmt.Sprintf("{{ with caLeaf %q }}{{ .CertPEM }}{{ end }}", service)
	into, mode := "local/leaf.pem", "noop"
	task := api.NewTask("ask", everyDriver).SetConfig("command", "/bin/true").Require(&api.Resources{CPU: new(20), MemoryMB: new(16)})
	task.Templates = []*api.Template{{EmbeddedTmpl: &text, DestPath: &into, ChangeMode: &mode}}
	group := api.NewTaskGroup("ask", 1).AddTask(task)
	group.RestartPolicy = &api.RestartPolicy{Attempts: &zero, Mode: &fail}
	return job.AddTaskGroup(group)
}
