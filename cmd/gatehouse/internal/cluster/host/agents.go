package host

import (
	"context"
	"os/exec"
	"time"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

const (
	probeEvery   = 250 * time.Millisecond
	probeTimeout = 5 * time.Second
)

// Agents runs the processes of the host until the context ends, as its second process: what the first
// one waits for is not ours.
func Agents(ctx context.Context, spec Spec, now func() time.Time) {
	group := supervise.New(supervise.Options{Now: now})
	for _, process := range spec.Processes {
		group.Start(supervise.Spec{
			Name: process.Name, Log: spec.LogFile(process.Name), KeepChildren: true, // Nomad's tasks and their loggers outlive its agent
			Command: func() (*exec.Cmd, error) {
				cmd := exec.Command(process.Command[0], process.Command[1:]...) //nolint:noctx // supervise ends it
				cmd.Env, cmd.Dir = process.Environ, "/"
				return cmd, nil
			},
		})
		await(ctx, process)
	}
	<-ctx.Done()
	group.Close(context.WithoutCancel(ctx))
}

// await waits for the process to be of use to the next one.
func await(ctx context.Context, process Process) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for len(process.Ready) > 0 && ctx.Err() == nil {
		if probe(ctx, process) {
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func probe(ctx context.Context, process Process) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, process.Ready[0], process.Ready[1:]...)
	cmd.Env, cmd.Dir = process.Environ, "/"
	return cmd.Run() == nil
}
