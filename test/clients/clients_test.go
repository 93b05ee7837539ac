// Package clients_test holds what strangers' programs need of the platform: clients that are
// generated from its API document, and libraries that know nothing but a standard. Each is a
// program of its own, in a folder below, against a running platform.
//
// `make test-clients` runs it. What the programs are made of is pinned by lock files beside them
// and fetched when the tests run; a missing runtime is a failure.
package clients_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

const (
	portOffset = 7000
	email      = "administrator@example.com"
	password   = "correct horse battery staple"
)

// running is the platform that all clients share, built and started by the first that needs it. Its
// administrator is email.
var running struct {
	build, up sync.Once
	p         *platform.Platform
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if running.p != nil {
		if code != 0 {
			running.p.PrintLogs(os.Stderr)
		}
		if err := running.p.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "clients:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// built is the platform, which may not run yet.
func built(t *testing.T) *platform.Platform {
	t.Helper()
	running.build.Do(func() { running.p, running.err = platform.New(platform.Options{Offset: portOffset}) })
	check.NoError(t, running.err)
	return running.p
}

// url is where the platform is.
func url(t *testing.T) string {
	t.Helper()
	p := built(t)
	running.up.Do(func() { running.err = start(p) })
	check.NoError(t, running.err)
	return p.URL()
}

// another starts one more platform, with more environment, for as long as the test runs.
func another(t *testing.T, env ...string) *platform.Platform {
	t.Helper()
	first := built(t)
	p := first.Copy(filepath.Join(first.Dir, "another"), portOffset+1000, env...)
	t.Cleanup(func() {
		if t.Failed() {
			p.PrintLogs(os.Stderr)
		}
		check.NoError(t, errors.Join(p.Down(), os.RemoveAll(p.State)))
	})
	check.NoError(t, start(p))
	return p
}

func start(p *platform.Platform) error { return errors.Join(p.Up(), bootstrap(p)) }

// bootstrap makes the platform's administrator.
func bootstrap(p *platform.Platform) error {
	secret, err := p.BootstrapSecret()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"secret": secret, "email": email, "password": password})
	if err != nil {
		return fmt.Errorf("write the bootstrap request: %w", err)
	}
	resp, err := http.Post(p.URL()+"/api/v1/auth/bootstrap", "application/json", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("bootstrap: status %d", resp.StatusCode)
	}
	return nil
}

// registered is a client.
type registered struct {
	Client struct{ ID string }
	Secret string
}

// register registers a client at a platform as an administrator does.
func register(t *testing.T, p *platform.Platform, args ...string) registered {
	t.Helper()
	t.Setenv("GATEHOUSE_CLI_PASSWORD", password)
	var out []byte
	check.Within(t, time.Minute, "a client is registered", func() (err error) { // Authz learns of the administrator a moment later
		if out, err = p.CLI(t.Context(), append([]string{"clients", "create", "--email", email, "-o", "json"}, args...)...); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	var r registered
	for line := range bytes.Lines(out) {
		if bytes.HasPrefix(line, []byte("{")) {
			check.NoError(t, json.Unmarshal(line, &r))
		}
	}
	if r.Client.ID == "" {
		t.Fatalf("no client was registered:\n%s", out)
	}
	return r
}

// program is a client in a copy of its folder, where generated code and dependencies may be put.
type program struct {
	dir string
	env []string
}

// copied copies a folder of this package. Its programs get the environment beside this process's
// own.
func copied(t *testing.T, folder string, env ...string) program {
	t.Helper()
	dir := t.TempDir()
	check.NoError(t, os.CopyFS(dir, os.DirFS(folder)))
	return program{dir: dir, env: append(os.Environ(), env...)}
}

// onThePlatform tells a client of the API where the platform is, and who it is there.
func onThePlatform(t *testing.T) []string {
	t.Helper()
	return []string{"GATEHOUSE_URL=" + url(t), "GATEHOUSE_EMAIL=" + email, "GATEHOUSE_PASSWORD=" + password}
}

// run runs a command in the folder and returns its standard output. It ends the test with all that
// was printed when it fails.
func (p program) run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out, both bytes.Buffer
	cmd.Dir, cmd.Env, cmd.WaitDelay = p.dir, p.env, 5*time.Second
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &both), &both
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(name), args, err, both.Bytes())
	}
	return out.Bytes()
}

// need fails the test when a runtime is not on this machine.
func need(t *testing.T, runtime, install string) {
	t.Helper()
	if _, err := exec.LookPath(runtime); err != nil {
		t.Fatalf("%s was not found: install %s and put it on PATH", runtime, install)
	}
}
