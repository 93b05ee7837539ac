package supervise

import (
	"fmt"
	"syscall"
)

// ReapUntil is the work of the first process of a PID namespace: it waits for every child, orphans
// of others included, until the one with the pid has ended.
func ReapUntil(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return status, fmt.Errorf("wait for process %d: %w", pid, err)
		case ended == pid:
			return status, nil
		}
	}
}
