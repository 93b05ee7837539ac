package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatehouse/gatehouse/internal/supervise"
)

// stopSignals end `up`, but for those that whoever started it had it ignore: `nohup` means SIGHUP,
// and a shell's background job is not meant by Ctrl-C.
func stopSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// first runs `up` as a child of this process, which is the first of a container: the kernel hands
// that one every orphan to wait for, and never kills it at a signal from inside. It ends with the
// child.
func (c *upCommand) first(console *Console) error {
	if c.Detach {
		return errors.New("--detach cannot work here: this is the first process of a container, which ends with it: leave it out")
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stopSignals()...)
	child, err := os.StartProcess(self, append([]string{self}, console.Args...), &os.ProcAttr{
		Env: console.Environ, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys: &syscall.SysProcAttr{Setpgid: true}, // a terminal's Ctrl-C reaches it once, through us
	})
	if err != nil {
		return fmt.Errorf("start `up`: %w", err)
	}
	go func() {
		for s := range signals {
			_ = child.Signal(s) // it is gone when this is refused, and so are we
		}
	}()
	status, err := supervise.ReapUntil(child.Pid)
	switch {
	case err != nil:
		return err
	case status.Signaled():
		return exitError(128 + int(status.Signal()))
	case status.ExitStatus() != 0:
		return exitError(status.ExitStatus())
	default:
		return nil
	}
}
