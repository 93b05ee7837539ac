package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/owned"
)

// Run runs a process once, to its end, with the same care as the group's others. It fails when the process does, or when the context
// ends; then the process is stopped first.
func (g *Group) Run(ctx context.Context, spec Spec) error {
	p := &Process{spec: spec.withDefaults(), group: g, stop: make(chan struct{}), stopped: make(chan struct{})}
	cmd, err := p.start()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		close(p.stopped)
	}()
	select {
	case err = <-ended:
	case <-ctx.Done():
		p.Stop(context.WithoutCancel(ctx))
		err = errors.Join(ctx.Err(), <-ended)
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind in its group
	if err != nil {
		return fmt.Errorf("%s: %w", spec.Name, err)
	}
	return nil
}

// lastBytes bounds how much of a log Tail looks at.
const lastBytes = 64 << 10

// Tail returns the last lines of a log file that are not empty, none from before the byte since:
// what a process said before it died. A file that is shorter by now was begun anew.
func Tail(path string, since int64) []string {
	f, err := owned.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	if info.Size() < since {
		since = 0
	}
	raw, err := io.ReadAll(io.NewSectionReader(f, max(since, info.Size()-lastBytes), lastBytes))
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimRight(line, " \t\r\n"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
