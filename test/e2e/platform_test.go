// Package e2e_test drives a running platform through its public doors: the gateway, the operator's CLI, Consul's API and the sidecars.
//
// One platform is started for the whole package, by `gatehouse up --detach` with the binaries of this checkout, real PostgreSQL, Consul
// and Envoy, in a state folder and on ports of its own. Tests run one after the other and leave it healthy.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// portOffset keeps the suite's platform apart from a developer's own.
const portOffset = 2000

// plat is the platform under test, started by TestMain.
var plat *platform

// platform is one `gatehouse up`.
type platform struct {
	root   string // the checkout
	state  string // --state
	offset int
	mesh   string // --mesh, empty for the built-in definition
	bin    string // folder of the programs
}

// statusDoc is the machine-readable answer of `gatehouse status -o json`.
type statusDoc struct {
	Gateway struct {
		URL string `json:"url"`
	} `json:"gateway"`
	Consul struct {
		Address   string `json:"address"`
		TokenFile string `json:"token_file"`
		PID       int    `json:"pid"`
	} `json:"consul"`
	Services []service `json:"services"`
}

type service struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Health  string `json:"health"`
	GRPC    string `json:"grpc"`
	HTTP    string `json:"http"`
	Sidecar struct {
		PID    int    `json:"pid"`
		Admin  string `json:"admin"`
		Public string `json:"public"`
	} `json:"sidecar"`
	Upstreams map[string]int `json:"upstreams"`
}

func TestMain(m *testing.M) {
	code, err := runWithPlatform(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func runWithPlatform(m *testing.M) (code int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return 1, fmt.Errorf("make a state folder: %w", err)
	}
	plat = &platform{root: root, state: filepath.Join(dir, "state"), offset: portOffset, bin: filepath.Join(dir, "bin"),
		mesh: filepath.Join(root, "test", "probe", "consul")}
	defer func() {
		if code != 0 || err != nil {
			plat.printLogs()
		}
		err = errors.Join(err, plat.down(), os.RemoveAll(dir))
	}()
	if err := os.Chmod(dir, 0o755); err != nil {
		return 1, fmt.Errorf("open the state folder to the database's user: %w", err)
	}
	if err := plat.build(); err != nil {
		return 1, err
	}
	if err := plat.up(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// build compiles every program, the probes included, into the platform's own folder.
func (p *platform) build() error {
	for name, pkg := range map[string]string{
		"gatehouse": "./cmd/gatehouse", "gateway": "./gateway/cmd/gateway",
		"identity": "./services/identity/cmd/identity", "auth": "./services/auth/cmd/auth",
		"probe": "./test/probe/cmd/probe", "prober": "./test/probe/cmd/prober",
	} {
		cmd := exec.Command("go", "build", "-race", "-o", filepath.Join(p.bin, name), pkg)
		cmd.Dir = p.root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

func (p *platform) up() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := p.cli(ctx, "up", "--detach")
	if err != nil {
		return fmt.Errorf("gatehouse up: %w\n%s", err, out)
	}
	return nil
}

func (p *platform) down() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := p.cli(ctx, "down")
	if err != nil {
		return fmt.Errorf("gatehouse down: %w\n%s", err, out)
	}
	return nil
}

// cli runs the operator's command against this platform and returns what it printed.
func (p *platform) cli(ctx context.Context, args ...string) ([]byte, error) {
	args = append(args, "--state", p.state)
	if args[0] == "up" {
		args = append(args, "--port-offset", strconv.Itoa(p.offset), "--bin-dir", p.bin)
		if p.mesh != "" {
			args = append(args, "--mesh", p.mesh)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, "gatehouse"), args...)
	cmd.Dir = p.root
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(p.root, ".bin")+":"+os.Getenv("PATH"), "GATEHOUSE_GATEWAY_RATE_PER_ADDRESS=2000",
		"GATEHOUSE_GATEWAY_BURST_PER_ADDRESS=4000", "GATEHOUSE_GATEWAY_RATE_PER_SUBJECT=2000", "GATEHOUSE_GATEWAY_BURST_PER_SUBJECT=4000")
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

func (p *platform) status(t testing.TB) statusDoc {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	out, err := p.cli(ctx, "status", "-o", "json")
	var s statusDoc
	if jsonErr := json.Unmarshal(out, &s); jsonErr != nil {
		t.Fatalf("gatehouse status: %v, %v\n%s", err, jsonErr, out)
	}
	return s
}

func (p *platform) service(t testing.TB, name string) service {
	t.Helper()
	for _, s := range p.status(t).Services {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("gatehouse status names no service %q", name)
	return service{}
}

// printLogs shows the end of every program's log: what a failed run leaves to read.
func (p *platform) printLogs() {
	logs, _ := filepath.Glob(filepath.Join(p.state, "logs", "*.log"))
	for _, path := range logs {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if len(raw) > 4000 {
			raw = raw[len(raw)-4000:]
		}
		fmt.Fprintf(os.Stderr, "--- %s\n%s\n", filepath.Base(path), raw)
	}
}

// moduleRoot is the folder of go.mod above this package.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// eventually polls cond until it holds or the time is over.
func eventually(t testing.TB, limit time.Duration, what string, cond func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		case <-tick.C:
		}
	}
}
