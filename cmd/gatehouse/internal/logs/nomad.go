package logs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// sidecarTask begins the name of the task in which Nomad runs a service's sidecar.
const sidecarTask = "connect-proxy-"

// AddNomad reads what Nomad has of the sidecars' logs: those of the callees, whose jobs have their
// names, in the client's namespace. Logs that cannot be read are returned, one sentence each: their
// host may be away.
func (t *Tally) AddNomad(ctx context.Context, nomad *api.Client, callees []string) (unread []string, err error) {
	all, _, err := nomad.Allocations().List((&api.QueryOptions{Params: map[string]string{"task_states": "true"}}).WithContext(ctx))
	if answer := (api.UnexpectedResponseError{}); errors.As(err, &answer) && answer.StatusCode() == http.StatusForbidden {
		err = fmt.Errorf("%w: set NOMAD_TOKEN to a token that this Nomad knows and that may read the jobs and their logs", err)
	}
	if err != nil {
		return nil, fmt.Errorf("list Nomad's allocations: %w", err)
	}
	for _, stub := range all {
		if !slices.Contains(callees, stub.JobID) {
			continue
		}
		for task, state := range stub.TaskStates {
			if !strings.HasPrefix(task, sidecarTask) || state.StartedAt.IsZero() {
				continue
			}
			if err := t.addTask(ctx, nomad, stub, task); err != nil {
				unread = append(unread, fmt.Sprintf("the log of %s's sidecar on %s cannot be read: %v", stub.JobID, stub.NodeName, err))
			}
		}
	}
	return unread, ctx.Err()
}

// addTask reads one task's log from its beginning.
func (t *Tally) addTask(ctx context.Context, nomad *api.Client, stub *api.AllocationListStub, task string) error {
	end := make(chan struct{})
	of := &api.Allocation{ID: stub.ID, NodeID: stub.NodeID}
	frames, problems := nomad.AllocFS().Logs(of, false, task, "stdout", api.OriginStart, 0, end, (&api.QueryOptions{}).WithContext(ctx))
	if frames == nil {
		return <-problems
	}
	log := api.NewFrameReader(frames, problems, end)
	defer func() { _ = log.Close() }()
	return t.Add(stub.JobID, log)
}
