package pgserver_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// asServer makes a command run as the user that the server runs as.
func asServer(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	account, err := pgserver.ServerAccount()
	if err != nil {
		t.Fatal(err)
	}
	if account != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(account.UID), Gid: uint32(account.GID)}}
	}
}

// A killed server leaves its pid; when that belongs to another process of the same user by now, the
// next server starts all the same.
func TestAStalePidWhoseNumberLivesAgain(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	path := filepath.Join(server.DataDir, "postmaster.pid")
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "1000")
	asServer(t, other)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = other.Process.Kill(), other.Wait() })
	_, rest, _ := strings.Cut(string(left), "\n")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n%s", other.Process.Pid, rest), 0o600); err != nil {
		t.Fatal(err)
	}
	if account, err := pgserver.ServerAccount(); err != nil || account != nil && os.Lchown(path, account.UID, account.GID) != nil {
		t.Fatalf("the file cannot be given to the server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	again, err := server.Start(ctx)
	if err != nil {
		t.Fatalf("beside a process with the old pid: %v", err)
	}
	t.Cleanup(func() { _ = again.Kill() })
	if err := other.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process did not survive: %v", err)
	}
}

// Who owns the data folder cannot have the start wait for ever, or, as root, read another's file.
func TestAFileOfTheDataFolderThatIsNone(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	if err := process.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postmaster.pid", "PG_VERSION"} {
		path := filepath.Join(server.DataDir, name)
		for kind, plant := range map[string]func() error{
			"pipe": func() error { return syscall.Mkfifo(path, 0o600) },
			"link": func() error { return os.Symlink("/etc/passwd", path) },
		} {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			if err := plant(); err != nil {
				t.Fatal(err)
			}
			said := make(chan error, 1)
			go func() {
				_, err := server.Command()
				said <- errors.Join(err, server.Init(t.Context()))
			}()
			select {
			case err := <-said:
				if err == nil || !strings.Contains(err.Error(), path) {
					t.Errorf("%s, a %s: %v, want it to be named", name, kind, err)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s, a %s: the start waits", name, kind)
			}
		}
		if name == "postmaster.pid" {
			_ = os.Remove(path)
		}
	}
}

// A server that does run keeps its data, and is named.
func TestTwoServersOnOneFolder(t *testing.T) {
	t.Parallel()
	server, process := pgtest.Server(t)
	second := *server
	second.Port++
	_, err := second.Start(t.Context())
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("process %d", process.PID())) {
		t.Errorf("%v, want the process to be named", err)
	}
	if err := database.Ask(t.Context(), server.SuperURL("postgres")); err != nil {
		t.Errorf("the first one does not answer any more: %v", err)
	}
	if got := pgserver.Processes(server.DataDir); len(got) < 2 {
		t.Errorf("its processes are %v", got)
	}
}

// Who has no HOME needs none where PostgreSQL is installed. The test runs itself as an ordinary
// user.
func TestAnInstalledServerIsFoundWithoutHome(t *testing.T) {
	t.Parallel()
	if _, _, err := pgserver.Find(t.Context()); err != nil {
		return // then it is fetched, into the cache below HOME
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.Open(self) // whose folder an ordinary user may not enter
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles, cmd.Dir, cmd.Env = []*os.File{binary}, "/", []string{locateVariable + "=1", "PATH=/usr/bin:/bin"}
	asServer(t, cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("without HOME: %v", errors.Join(err, errors.New(string(out))))
	}
}
