package supervise

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Identity names one process for ever: a pid alone may be another process tomorrow.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot at which it was started (proc(5), field 22)
	Boot  string `json:"boot"`  // boot id of the kernel
}

// Identify returns the identity of a living process.
func Identify(pid int) (Identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, fmt.Errorf("read the boot id: %w", err)
	}
	now, err := stat(pid)
	if err != nil {
		return Identity{}, err
	}
	return Identity{PID: pid, Start: now.start, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether exactly this process still runs. A zombie does not run, unless it is only the first thread that has ended: the
// others hold its files and ports.
func (id Identity) Alive() bool {
	if id.PID <= 1 {
		return false
	}
	now, err := Identify(id.PID)
	if err != nil || now != id {
		return false
	}
	last, err := stat(id.PID)
	return err == nil && last.state != 'X' && (last.state != 'Z' || last.threads > 1)
}

// Terminate sends the signal to the process, waits until the context ends for it to go, then kills its process group. It does nothing
// when the process is gone or the pid belongs to another process by now.
func (id Identity) Terminate(ctx context.Context, signal syscall.Signal) error {
	if !id.Alive() {
		return nil
	}
	if err := syscall.Kill(id.PID, signal); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("signal process %d: %w", id.PID, err)
	}
	if id.Gone(ctx) {
		return nil
	}
	if err := killGroup(id.PID); err != nil {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if !id.Gone(last) {
		return fmt.Errorf("process %d does not end, not even by SIGKILL", id.PID)
	}
	return nil
}

// Gone waits for the end of the process and reports whether it came before the end of the context.
func (id Identity) Gone(ctx context.Context) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for id.Alive() {
		select {
		case <-ctx.Done():
			return !id.Alive()
		case <-tick.C:
		}
	}
	return true
}

// killGroup kills a process and, where it leads a process group, all of that group.
func killGroup(pid int) error {
	if group, err := syscall.Getpgid(pid); err == nil && group == pid {
		pid = -pid
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// status is what the kernel says of a process (proc(5), /proc/<pid>/stat).
type status struct {
	state   byte
	threads int
	start   uint64 // clock ticks since boot
}

// stat reads it. The name of the process may hold spaces and parentheses, so the fields are counted from the last parenthesis.
func stat(pid int) (status, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return status{}, fmt.Errorf("read the state of process %d: %w", pid, err)
	}
	text := string(raw)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return status{}, fmt.Errorf("read the state of process %d: %d fields", pid, len(fields))
	}
	threads, err := strconv.Atoi(fields[17])
	if err != nil {
		return status{}, fmt.Errorf("read the threads of process %d: %w", pid, err)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return status{}, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	return status{state: fields[0][0], threads: threads, start: start}, nil
}
