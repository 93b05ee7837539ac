package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// refusesToStart runs a program that must stop by itself with one sentence that holds every wanted word.
func refusesToStart(t *testing.T, env []string, wants []string, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append([]string{"PATH=" + filepath.Join(plat.Root, ".bin") + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) || exit.ExitCode() == 0 {
		t.Fatalf("%s %v: %v, want it to stop with an exit code\n%s", filepath.Base(program), args, err, out)
	}
	text := strings.TrimSpace(string(out))
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("the sentence lacks %q: %s", want, text)
		}
	}
	if strings.Contains(text, "goroutine ") || strings.Count(text, "\n") > 1 {
		t.Errorf("more than a sentence:\n%s", text)
	}
}

// Operators' mistakes stop a program with one sentence that says how to fix it.
func TestProgramsRefuseBadConfiguration(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	short := filepath.Join(t.TempDir(), "short.key")
	if err := os.WriteFile(short, []byte("too short"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := filepath.Join(t.TempDir(), "good.key")
	if err := os.WriteFile(good, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name    string
		program string
		env     []string
		wants   []string
	}{
		{"unknown variable", "identity", []string{"GATEHOUSE_POSTGRES_ULR=x"}, []string{"GATEHOUSE_POSTGRES_ULR", "GATEHOUSE_POSTGRES_URL"}},
		{"no database", "identity", nil, []string{"GATEHOUSE_POSTGRES_URL"}},
		{"value and file", "identity", []string{"GATEHOUSE_POSTGRES_URL=postgres://a@127.0.0.1/b", "GATEHOUSE_POSTGRES_URL_FILE=/x"}, []string{"GATEHOUSE_POSTGRES_URL_FILE"}},
		{"wrong level", "identity", []string{"GATEHOUSE_POSTGRES_URL=postgres://a@127.0.0.1/b", "GATEHOUSE_LOG_LEVEL=loud"}, []string{"GATEHOUSE_LOG_LEVEL"}},
		{"no trust domain", "identity", []string{"GATEHOUSE_POSTGRES_URL=postgres://a@127.0.0.1/b", "GATEHOUSE_MESH_TRUST_DOMAIN="}, []string{"GATEHOUSE_MESH_TRUST_DOMAIN"}}, // R94
		{"no datacenter", "auth", []string{"GATEHOUSE_POSTGRES_URL=postgres://a@127.0.0.1/b", "GATEHOUSE_AUTH_KEY_FILE=" + good, "GATEHOUSE_MESH_DATACENTER="}, []string{"GATEHOUSE_MESH_DATACENTER"}},
		{"short key", "auth", []string{"GATEHOUSE_POSTGRES_URL=postgres://a@127.0.0.1/b", "GATEHOUSE_AUTH_KEY_FILE=" + short}, []string{"32"}},
		{"certificate without key", "gateway", []string{"GATEHOUSE_GATEWAY_TLS_CERT_FILE=/x"}, []string{"GATEHOUSE_GATEWAY_TLS_KEY_FILE"}},
		{"public without TLS", "gateway", []string{"GATEHOUSE_GATEWAY_LISTEN=0.0.0.0:8080"}, []string{"TLS"}},
		{"taken port", "gateway", []string{"GATEHOUSE_GATEWAY_LISTEN=" + taken.Addr().String()}, []string{"in use"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			refusesToStart(t, append([]string{"GATEHOUSE_MESH_PORT_OFFSET=9000", "GATEHOUSE_MESH_TRUST_DOMAIN=x.consul", "GATEHOUSE_MESH_DATACENTER=dc1"}, c.env...), c.wants, filepath.Join(plat.Bin, c.program), "serve")
		})
	}
}

func TestUpRefusesWhatItCannotDo(t *testing.T) {
	gatehouse := filepath.Join(plat.Bin, "gatehouse")
	t.Run("taken port", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:16080")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		refusesToStart(t, nil, []string{"16080", "--port-offset"}, gatehouse, "up", "--state", filepath.Join(t.TempDir(), "s"), "--port-offset", "8000", "--bin-dir", plat.Bin)
	})
	t.Run("state folder that is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refusesToStart(t, nil, []string{file}, gatehouse, "up", "--state", file, "--port-offset", "8000", "--bin-dir", plat.Bin)
	})
	t.Run("state folder that others can write", func(t *testing.T) {
		open := t.TempDir()
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
		refusesToStart(t, nil, []string{open, "chmod", "--state"}, gatehouse, "up", "--state", open, "--port-offset", "8000", "--bin-dir", plat.Bin)
	})
	t.Run("missing programs", func(t *testing.T) {
		refusesToStart(t, nil, []string{"make"}, gatehouse, "up", "--state", filepath.Join(t.TempDir(), "s"), "--port-offset", "8000", "--bin-dir", t.TempDir())
	})
	t.Run("already running", func(t *testing.T) {
		refusesToStart(t, nil, []string{"down"}, gatehouse, "up", "--state", plat.State, "--port-offset", fmt.Sprint(portOffset), "--bin-dir", plat.Bin)
	})
	t.Run("nonsense offset", func(t *testing.T) {
		refusesToStart(t, nil, []string{"port-offset"}, gatehouse, "up", "--state", filepath.Join(t.TempDir(), "s"), "--port-offset", "70000", "--bin-dir", plat.Bin)
	})
}

// A killed `up` leaves processes behind; the next one cleans up and starts.
func TestUpAfterAKilledUp(t *testing.T) {
	before := processesOf(t, plat)
	for _, pid := range supervisors(t) {
		killHard(t, pid)
		check.Within(t, 10*time.Second, "the end of `up`", func() error { // a large process holds its lock until its memory is freed
			if runs(pid) {
				return fmt.Errorf("process %d still runs", pid)
			}
			return nil
		})
	}
	if err := plat.Up(); err != nil {
		t.Fatal(err)
	}
	gone(t, before)
	check.Within(t, 30*time.Second, "healthy after the supervisor's death", func() error { return healthy(t) })
	if err := roundTrip(t); err != nil {
		t.Error(err)
	}
}

// oddState is a state folder with blanks and letters of several scripts in its path, behind a link
// into a folder that is closed to others, and a folder with the programs in the same place (R88).
func oddState(t *testing.T) (state, bin string) {
	t.Helper()
	dir := t.TempDir()
	openToAll(t, dir)
	closed := filepath.Join(dir, "closed to others, ä ü 中")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link of mine")
	if err := os.Symlink(closed, link); err != nil {
		t.Fatal(err)
	}
	state, bin = filepath.Join(link, "my state"), filepath.Join(closed, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	programs, err := os.ReadDir(plat.Bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		if err := os.Link(filepath.Join(plat.Bin, program.Name()), filepath.Join(bin, program.Name())); err != nil {
			t.Fatal(err)
		}
	}
	data, err := pgserver.DataDir(state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) }) // outside of the folder when the tests run as root
	return state, bin
}

// Two copies run side by side, and `down` leaves nothing of its own running.
func TestTwoCopiesAndDown(t *testing.T) {
	state, bin := oddState(t)
	second := plat.Copy(state, 7000, "GATEHOUSE_AUTH_ACCESS_TOKEN_TTL=5s")
	second.Bin = bin
	if err := second.Up(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Down() }) // again when the test did not get there
	if a, err := send(second.URL(), request{method: "GET", path: "/readyz"}); err != nil || a.status != 200 {
		t.Errorf("second copy: %d %v", a.status, err)
	}
	if err := roundTrip(t); err != nil {
		t.Errorf("first copy beside the second: %v", err)
	}
	endsWithItsToken(t, second.URL())
	before := processesOf(t, second)
	if err := second.Down(); err != nil {
		t.Fatal(err)
	}
	gone(t, before)
	if left := processesNaming(t, second.State); len(left) > 0 {
		t.Errorf("`down` left %v", left)
	}
	if err := roundTrip(t); err != nil {
		t.Errorf("first copy after the second is down: %v", err)
	}
}
