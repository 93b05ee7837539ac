package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/nomad"
)

// jobPatience is how long a job may take to be healthy: several start beside each other, and each
// waits for those that it calls.
const jobPatience = 4 * time.Minute

// run gives Nomad a job file and waits until its deployment is done.
func (c *cluster) run(ctx context.Context, client *api.Client, name, text string) error {
	begun := c.opts.Now()
	job, err := client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: text, Variables: c.variables(), Canonicalize: true})
	if err != nil {
		return fmt.Errorf("read the job %s: %w", name, err)
	}
	if _, _, err := client.Jobs().Register(job, (&api.WriteOptions{Namespace: operator.Namespace}).WithContext(ctx)); err != nil {
		return fmt.Errorf("run the job %s: %w", name, err)
	}
	asked := func(ctx context.Context) *api.QueryOptions {
		return (&api.QueryOptions{Namespace: operator.Namespace}).WithContext(ctx)
	}
	err = await(ctx, jobPatience, "the job "+name, func(ctx context.Context) error {
		deployment, _, err := client.Jobs().LatestDeployment(name, asked(ctx))
		switch {
		case err != nil:
			return err
		case deployment == nil:
			return errors.New("it is not deployed yet")
		case deployment.Status == api.DeploymentStatusSuccessful:
			return nil
		case deployment.Status == api.DeploymentStatusFailed:
			return hopeless{fmt.Errorf("its deployment has failed: %s: %s", deployment.StatusDescription, c.reasons(ctx, client, name))}
		}
		return fmt.Errorf("%s: %s", deployment.StatusDescription, c.reasons(ctx, client, name))
	})
	if err == nil {
		c.opts.Progress("  %s (%.1f s)", name, c.opts.Now().Sub(begun).Seconds())
	}
	return err
}

// variables are the values of the jobs' variables: those of every development cluster, and the one
// that each makes anew.
func (c *cluster) variables() string {
	return fmt.Sprintf("%s\ntrust_domain = %q\n", nomad.Development, c.record.TrustDomain)
}

// runAll runs the jobs: what others need first alone, then the rest beside each other.
func (c *cluster) runAll(ctx context.Context, jobs map[string]string, first ...string) error {
	client, err := Nomad(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	for _, name := range first {
		if err := c.run(ctx, client, name, jobs[name]); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, text := range jobs {
		if !slices.Contains(first, name) {
			group.Go(func() error { return c.run(ctx, client, name, text) })
		}
	}
	return group.Wait()
}

// reasons tell why the allocations of a job are not healthy, in the words of their last events.
func (c *cluster) reasons(ctx context.Context, client *api.Client, job string) string {
	allocations, _, err := client.Jobs().Allocations(job, false, (&api.QueryOptions{Namespace: operator.Namespace}).WithContext(ctx))
	if err != nil {
		return err.Error()
	}
	var found []string
	for _, a := range allocations {
		for task, state := range a.TaskStates {
			if n := len(state.Events); n > 0 && (state.Failed || state.State == "pending" || state.Restarts > 0) {
				found = append(found, fmt.Sprintf("%s/%s on %s: %s", a.ID[:8], task, a.NodeName, state.Events[n-1].DisplayMessage))
			}
		}
		if len(a.TaskStates) == 0 || a.ClientStatus == api.AllocClientStatusFailed {
			found = append(found, fmt.Sprintf("%s on %s is %s: %s", a.ID[:8], a.NodeName, a.ClientStatus, a.ClientDescription))
		}
	}
	if len(allocations) == 0 {
		return "no host takes it (`nomad job status " + job + "` says why)"
	}
	slices.Sort(found)
	return strings.Join(slices.Compact(found), "; ")
}
