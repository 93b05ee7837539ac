package pgtest

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
)

// Server returns a running server of the test's own, with settings as in production, for tests that stop it, kill it or look at its
// roles. It takes a second or two. The test may end the process and start it again; what runs at the end of the test is ended.
func Server(t testing.TB) (*pgserver.Server, *pgserver.Process) {
	t.Helper()
	server := Stopped(t)
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := server.Init(ctx); err != nil {
		t.Fatalf("make a server for the test: %v", err)
	}
	process, err := server.Start(ctx)
	if err != nil {
		t.Fatalf("start a server for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := process.Kill(); err != nil {
			t.Errorf("end the test's server: %v", err)
		}
	})
	return server, process
}

// Stopped is Server before its Init.
func Stopped(t testing.TB) *pgserver.Server {
	t.Helper()
	base, account, err := home()
	if err != nil {
		t.Fatalf("make a folder for the test's server: %v", err)
	}
	// Not t.TempDir: the user that the server runs as could not enter that.
	dir := filepath.Join(base, "private-"+strings.ToLower(rand.Text()))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatalf("make a folder for the test's server: %v", err)
	}
	t.Cleanup(func() {
		end(filepath.Join(dir, "data"))
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the test's server: %v", err)
		}
	})
	if account != nil {
		if err := os.Lchown(dir, account.UID, account.GID); err != nil {
			t.Fatalf("make a folder for the test's server: %v", err)
		}
	}
	binDir, _, err := pgserver.Locate(t.Context(), "", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return &pgserver.Server{
		BinDir: binDir, DataDir: filepath.Join(dir, "data"), Port: port,
		Password: config.NewSecret(rand.Text()), Log: t.Output(),
	}
}

// end kills a server that the test started again and left.
func end(data string) {
	for _, pid := range pgserver.Processes(data) {
		_ = syscall.Kill(pid, syscall.SIGQUIT) // it is gone when this is refused
	}
}

// sweepPrivate removes what killed test runs left of Stopped.
func sweepPrivate(base string) {
	dirs, _ := filepath.Glob(filepath.Join(base, "private-*")) // the pattern is well formed
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil || time.Since(info.ModTime()) < time.Hour {
			continue
		}
		end(filepath.Join(dir, "data"))
		_ = os.RemoveAll(dir) // tried again next time
	}
}
