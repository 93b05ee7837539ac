package cluster_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	nomad "github.com/hashicorp/nomad/api"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// databasePort is PostgreSQL's in its allocation.
const databasePort = 15432

// place is a network namespace, that of a process.
type place struct{ pid int }

// inside is where the tasks of an allocation are.
func (c *cluster) inside(t *testing.T, a *nomad.AllocationListStub) place {
	t.Helper()
	// A task's control group is named after its allocation; Nomad's own processes for it stay outside.
	paths, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), a.ID) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err == nil {
			if own, host := space(os.Getpid()), space(pid); host != "" && host != own && host != space(c.hosts(t)[a.NodeName].PID) {
				return place{pid}
			}
		}
	}
	t.Fatalf("allocation %s of %s has no process", a.ID, a.JobID)
	return place{}
}

// space names the network namespace of a process, empty when it has ended.
func space(pid int) string {
	name, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)) // what has ended has none
	return name
}

// The first thread belongs to the goroutine of TestMain: it would not end with another one, and what
// it has entered is what /proc says of this whole process.
func init() { runtime.LockOSThread() } //nolint:gochecknoinits // TestMain may have moved to another thread already

// enter does something there.
func (p place) enter(do func() error) (err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		space, openErr := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.pid))
		if err = openErr; err != nil {
			return
		}
		defer func() { _ = space.Close() }()
		if err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err == nil {
			err = do()
		}
	}()
	<-done
	return err
}

// dial connects from there to an address, which must be numeric: names would be asked for by others.
func (p place) dial(ctx context.Context, address string) (conn net.Conn, err error) {
	err = p.enter(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}

// signsIn connects to the server of PostgreSQL there as a program does.
func (p place) signsIn(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.Host, config.Port, config.TLSConfig, config.Fallbacks = "127.0.0.1", databasePort, nil, nil
	config.DialFunc = func(ctx context.Context, _, address string) (net.Conn, error) { return p.dial(ctx, address) }
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// Who looks into other namespaces leaves this process in its own: else the machine would not be as it
// was when the tests end.
func TestEnteringLeavesTheProcessWhereItWas(t *testing.T) {
	elsewhere := exec.CommandContext(t.Context(), "sleep", "60")
	elsewhere.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := elsewhere.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = elsewhere.Process.Kill(), elsewhere.Wait() })
	own := space(os.Getpid())
	for range 200 {
		if err := (place{elsewhere.Process.Pid}).enter(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if now := space(os.Getpid()); now != own {
			t.Fatalf("this process is in %s, and was in %s", now, own)
		}
	}
}
