package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
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

// lastBytes bounds how much of a log LastLine looks at.
const lastBytes = 8 << 10

// LastLine returns the last line of a log file that is not empty: what a process said before it died.
func LastLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > lastBytes {
		if _, err := f.Seek(-lastBytes, io.SeekEnd); err != nil {
			return ""
		}
	}
	raw, err := io.ReadAll(f)
	if err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	return strings.TrimSpace(string(lines[len(lines)-1]))
}
