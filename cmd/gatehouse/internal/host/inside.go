package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// WithVariable returns a process of this machine whose environment has a variable with the value, 0
// when there is none. That another user may not look is an error.
func WithVariable(name, value string) (pid int, err error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("only root may look for it: run this as root")
	}
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	wanted := []byte(name + "=" + value)
	for _, folder := range folders {
		environ, err := os.ReadFile(filepath.Join(folder, "environ"))
		if err != nil {
			continue // gone, or of the kernel
		}
		for pair := range bytes.SplitSeq(environ, []byte{0}) {
			if bytes.Equal(pair, wanted) {
				return strconv.Atoi(filepath.Base(folder))
			}
		}
	}
	return 0, nil
}

// Inside dials from the network namespace of a process. It needs root. What it returns goes on from
// there, whoever uses it.
func Inside(pid int) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		onThreadOfItsOwn(func() { conn, err = dialInside(ctx, pid, network, address) })
		return conn, err
	}
}

// onThreadOfItsOwn runs work on a thread that ends with it, so that nobody else gets its namespace.
// The first thread is never that one: it would not end, and stands for the process in /proc.
func onThreadOfItsOwn(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			onThreadOfItsOwn(work)
			runtime.UnlockOSThread()
			return
		}
		work() // and never unlocked
	}()
	<-done
}

func dialInside(ctx context.Context, pid int, network, address string) (net.Conn, error) {
	namespace, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "ns", "net"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("process %d has ended", pid)
	}
	if err != nil {
		return nil, fmt.Errorf("enter the network of process %d: %w", pid, err)
	}
	defer func() { _ = namespace.Close() }()
	if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter the network of process %d: %w", pid, err)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address) // one address is dialled on this thread
}
