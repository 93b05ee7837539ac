package pgserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// Variables that turn this test program into another: initVariable into one that makes a cluster
// and that the test can kill, locateVariable into one that looks for a server.
const (
	initVariable   = "PGSERVER_TEST_INIT"
	locateVariable = "PGSERVER_TEST_LOCATE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(initVariable); dir != "" {
		fmt.Println(slowServer(dir).Init(context.Background()))
		return
	}
	if os.Getenv(locateVariable) != "" {
		if _, _, err := pgserver.Locate(context.Background(), "/nonexistent", io.Discard); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// slowServer has an initdb that never ends and says which process it is.
func slowServer(dir string) *pgserver.Server {
	return &pgserver.Server{BinDir: filepath.Join(dir, "bin"), DataDir: filepath.Join(dir, "state", "postgres"), Password: config.NewSecret("secret")}
}

// initdb dies with the process that started it, and what it left is gone with the next.
func TestAKilledInit(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "pgserver-") // not t.TempDir, which the server's user cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, folder := range []string{dir, filepath.Join(dir, "bin"), filepath.Join(dir, "state")} {
		if err := errors.Join(os.MkdirAll(folder, 0o777), os.Chmod(folder, 0o777)); err != nil { // the server's user writes here
			t.Fatal(err)
		}
	}
	pid := filepath.Join(dir, "pid")
	for name, script := range map[string]string{
		"postgres": "echo 'postgres (PostgreSQL) 15.1'",
		"initdb":   "echo $$ > " + pid + ".new; mv " + pid + ".new " + pid + "; exec sleep 1000",
	} {
		if err := os.WriteFile(filepath.Join(dir, "bin", name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil { // a program
			t.Fatal(err)
		}
	}
	id, kill := startInit(t, dir, pid)
	left, err := filepath.Glob(filepath.Join(dir, "state", "*"))
	if err != nil || len(left) != 2 { // the unfinished cluster and the password
		t.Errorf("during initdb there are %v, %v", left, err)
	}
	kill()
	until(t, "initdb is gone", func() bool { return !id.Alive() })
	if err := os.WriteFile(filepath.Join(dir, "bin", "initdb"), []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil { // a program
		t.Fatal(err)
	}
	if err := slowServer(dir).Init(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("the next one: %v", err)
	}
	left, err = filepath.Glob(filepath.Join(dir, "state", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "postgres.new" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// startInit runs Init in a process of its own until its initdb runs.
func startInit(t *testing.T, dir, pidFile string) (initdb supervise.Identity, kill func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), initVariable+"="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	var raw []byte
	until(t, "initdb runs", func() bool { raw, err = os.ReadFile(pidFile); return err == nil })
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	initdb, err = supervise.Identify(pid)
	if err != nil {
		t.Fatal(err)
	}
	return initdb, kill
}

// until polls until cond holds.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}
