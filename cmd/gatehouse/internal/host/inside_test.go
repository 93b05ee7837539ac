package host_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
)

// elsewhere is a process with a network of its own and a variable, 0 where this user gets none.
func elsewhere(t *testing.T, variable string) int {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	cmd.Env = []string{variable}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	err := cmd.Start()
	if errors.Is(err, syscall.EPERM) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// From inside of a process's network its own loopback is reached and not this one, and nothing else
// of this program gets there with it.
func TestInside(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, id := listener.Addr().String(), uuid.NewString()
	pid := elsewhere(t, "SOME_ID="+id)
	if pid == 0 { // not root: what is said is the question
		if _, err := host.WithVariable("SOME_ID", id); os.Geteuid() != 0 && (err == nil || !strings.Contains(err.Error(), "run this as root")) {
			t.Errorf("%v", err)
		}
		if _, err := host.Inside(os.Getpid())(t.Context(), "tcp", address); err == nil || !strings.Contains(err.Error(), "enter the network") {
			t.Errorf("%v", err)
		}
		return
	}
	for deadline := time.Now().Add(10 * time.Second); ; { // until it has its environment
		found, err := host.WithVariable("SOME_ID", id)
		if err == nil && found == pid {
			break
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("process %d, %v, want %d", found, err, pid)
		}
	}
	for range 20 {
		if conn, err := host.Inside(pid)(t.Context(), "tcp", address); !errors.Is(err, syscall.ENETUNREACH) {
			t.Fatalf("%v, %v: its loopback is down", conn, err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("from here: %v", err)
		}
		_ = conn.Close()
	}
	conn, err := host.Inside(os.Getpid())(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if found, err := host.WithVariable("SOME_ID", "other"); found != 0 || err != nil {
		t.Errorf("nobody's is %d, %v", found, err)
	}
	if _, err := host.Inside(1<<30)(t.Context(), "tcp", address); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("%v", err)
	}
}
