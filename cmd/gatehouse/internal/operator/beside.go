package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// Beside runs the program of a task with other arguments beside it, with its secrets and in its
// network, as `nomad alloc exec` does, and returns the exit code. Of several allocations it takes
// the one of the newest version of the job. The path is the task's own: Nomad never comes back from
// a program that a task does not have (docs/versions.md).
func Beside(ctx context.Context, client *api.Client, job, task string, args []string, out, errs io.Writer) (exit int, err error) {
	a, err := newest(ctx, client, job, task)
	if err != nil {
		return 0, err
	}
	command, err := commandOf(a, task)
	if err != nil {
		return 0, err
	}
	exit, err = client.Allocations().Exec(ctx, a, task, false, append([]string{command}, args...), strings.NewReader(""), out, errs, nil, query(ctx))
	if err != nil {
		return 0, refused(ctx, client, fmt.Sprintf("run %s in the allocation %s on %s", command, a.ID[:8], a.NodeName), err)
	}
	return exit, nil
}

// newest is the allocation of the newest version of a job in which a task runs.
func newest(ctx context.Context, client *api.Client, job, task string) (*api.Allocation, error) {
	all, _, err := client.Jobs().Allocations(job, false, query(ctx))
	if err != nil {
		return nil, refused(ctx, client, "look for the allocations of "+job, err)
	}
	var found *api.AllocationListStub
	for _, a := range all {
		state := a.TaskStates[task]
		if a.DesiredStatus == api.AllocDesiredStatusRun && state != nil && state.State == "running" && (found == nil || a.JobVersion > found.JobVersion) {
			found = a
		}
	}
	if found == nil {
		return nil, fmt.Errorf("the task %s of the job %s runs nowhere: `nomad job status %s` says why", task, job, job)
	}
	a, _, err := client.Allocations().Info(found.ID, query(ctx))
	if err != nil {
		return nil, refused(ctx, client, "look at the allocation "+found.ID[:8], err)
	}
	return a, nil
}

func commandOf(a *api.Allocation, task string) (string, error) {
	if group := a.Job.LookupTaskGroup(a.TaskGroup); group != nil {
		for _, t := range group.Tasks {
			if command, ok := t.Config["command"].(string); ok && t.Name == task {
				return command, nil
			}
		}
	}
	return "", fmt.Errorf("the task %s of the allocation %s does not say its program: `nomad alloc status %s` shows it", task, a.ID[:8], a.ID[:8])
}

func query(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

// refused says what an operator can do about Nomad's answer, or that there was none.
func refused(ctx context.Context, client *api.Client, what string, err error) error {
	var answer api.UnexpectedResponseError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: stopped; what has begun goes on there", what)
	case !errors.As(err, &answer):
		return fmt.Errorf("%s: Nomad at %s did not do it: %w", what, client.Address(), err)
	case answer.StatusCode() == http.StatusForbidden || answer.StatusCode() == http.StatusUnauthorized:
		return fmt.Errorf("%s: the token in NOMAD_TOKEN may not do that: take one with the policy gatehouse-operator", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}
