package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// JobStatus is how a job of the definition is.
type JobStatus struct {
	Name    string `json:"name"`
	State   string `json:"state"`   // running when all its instances do, or what it is instead
	Wanted  int    `json:"wanted"`  // instances
	Running int    `json:"running"` // of them
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

// lookAtJobs finds out how the named jobs are, and lists the instances of all.
func lookAtJobs(ctx context.Context, dir state.Dir, r Record, names []string) ([]JobStatus, []Allocation) {
	client, err := Nomad(dir, r)
	var all []Allocation
	if err == nil {
		all, err = allocations(ctx, client)
	}
	jobs := make([]JobStatus, 0, len(names))
	for _, name := range names {
		one := JobStatus{Name: name}
		if err != nil {
			one.State = err.Error()
		} else {
			one.look(ctx, client, all)
		}
		jobs = append(jobs, one)
	}
	return jobs, all
}

// look compares what Nomad should run of the job with what does.
func (j *JobStatus) look(ctx context.Context, client *api.Client, all []Allocation) {
	for _, a := range all {
		if a.Job == j.Name && a.State == api.AllocClientStatusRunning {
			j.Running++
		}
	}
	job, _, err := client.Jobs().Info(j.Name, (&api.QueryOptions{Namespace: operator.Namespace}).WithContext(ctx))
	var answer api.UnexpectedResponseError
	switch {
	case errors.As(err, &answer) && answer.StatusCode() == http.StatusNotFound:
		j.State = "absent: run it with `nomad job run nomad/jobs/" + j.Name + ".nomad.hcl`"
		return
	case err != nil:
		j.State = err.Error()
		return
	case *job.Stop:
		j.State = "stopped"
		return
	}
	for _, group := range job.TaskGroups {
		j.Wanted += *group.Count
	}
	j.State = running
	if j.Running < j.Wanted || j.Wanted == 0 {
		j.State = fmt.Sprintf("%d of %d run", j.Running, j.Wanted)
	}
}

// allocations are those that run or should.
func allocations(ctx context.Context, client *api.Client) ([]Allocation, error) {
	all, _, err := client.Allocations().List((&api.QueryOptions{Namespace: operator.Namespace, Params: map[string]string{"task_states": "true"}}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Nomad's allocations: %w", err)
	}
	found := []Allocation{}
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
