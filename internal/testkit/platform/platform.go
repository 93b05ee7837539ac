// Package platform runs a whole platform of this checkout for tests and benchmarks: `gatehouse up --detach` with real PostgreSQL, Consul
// and Envoy, in a state folder and on ports of its own. Only tests and benchmarks import it.
package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/pg/pgurl"
	"github.com/gatehouse/gatehouse/internal/request"
)

// gatewayPort is where the gateway is on one machine, and maxOffset the largest port offset.
const gatewayPort, maxOffset = 8080, 11000

// Options say what to run.
type Options struct {
	Offset  int      // --port-offset
	Race    bool     // build the programs with the race detector
	Overlay string   // -overlay of `go build`, relative to the checkout; empty for none
	Mesh    string   // --mesh relative to the checkout; empty for the built-in definition
	Extra   []string // package paths of further programs to build
	Env     []string // environment of `gatehouse up`, beside this process's own
}

// Platform is one `gatehouse up`.
type Platform struct {
	Root  string // the checkout
	Dir   string // temporary folder of the state and the programs
	State string // --state
	Bin   string // --bin-dir
	opt   Options
	url   string // of one that somebody else runs
}

// Status is the machine-readable answer of `gatehouse status -o json`.
type Status struct {
	Gateway struct {
		URL string `json:"url"`
	} `json:"gateway"`
	Consul struct {
		Address     string `json:"address"`
		TokenFile   string `json:"token_file"`
		CAFile      string `json:"ca_file"`
		CertFile    string `json:"cert_file"`
		KeyFile     string `json:"key_file"`
		XDS         string `json:"xds"`
		TrustDomain string `json:"trust_domain"`
		Datacenter  string `json:"datacenter"`
		PID         int    `json:"pid"`

		ServicePrefix request.ServicePrefix `json:"service_prefix"`
	} `json:"consul"`
	Services []Service `json:"services"`
}

// Service is one program of the mesh, or its database, with its sidecar.
type Service struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Health  string `json:"health"`
	GRPC    string `json:"grpc"`
	HTTP    string `json:"http"`
	REST    string `json:"rest"`
	Sidecar struct {
		PID    int    `json:"pid"`
		Admin  string `json:"admin"`
		Public string `json:"public"`
	} `json:"sidecar"`
	Upstreams map[string]int `json:"upstreams"`
}

// New prepares a platform in a temporary folder and builds its programs. Close removes it.
func New(opt Options) (*Platform, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	dir, err := os.MkdirTemp("", "gatehouse-test-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	// The database runs as an unprivileged user when the tests run as root.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the folder to the database's user: %w", err)
	}
	p := &Platform{Root: filepath.Dir(strings.TrimSpace(string(out))), Dir: dir, State: filepath.Join(dir, "state"), Bin: filepath.Join(dir, "bin"), opt: opt}
	return p, p.build()
}

// At is a platform that somebody else runs: nothing but its URL is known.
func At(url string) *Platform { return &Platform{url: url} }

// FreeOffset is the first port offset, from one on, at which no platform runs.
func FreeOffset(from int) (int, error) {
	for offset := from; offset <= maxOffset; offset += 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", gatewayPort+offset))
		if err == nil {
			return offset, l.Close()
		}
	}
	return 0, fmt.Errorf("platforms run at all port offsets from %d to %d", from, maxOffset)
}

// Copy is a second platform with the same programs on other ports, and more environment.
func (p *Platform) Copy(state string, offset int, env ...string) *Platform {
	c := *p
	c.State, c.opt.Offset, c.opt.Mesh = state, offset, ""
	c.opt.Env = append(slices.Clone(c.opt.Env), env...)
	return &c
}

// build makes all programs at once, which lets the linker use every core.
func (p *Platform) build() error {
	args, cgo := []string{"build", "-trimpath", "-o", p.Bin + string(filepath.Separator)}, "0"
	if p.opt.Race {
		args, cgo = append(args, "-race"), "1"
	}
	if p.opt.Overlay != "" {
		args = append(args, "-overlay", p.opt.Overlay)
	}
	args = append(args, "./cmd/gatehouse", "./gateway/cmd/gateway", "./services/...")
	cmd := exec.Command("go", append(args, p.opt.Extra...)...)
	cmd.Dir, cmd.Env = p.Root, append(os.Environ(), "CGO_ENABLED="+cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

// URL is the gateway's address.
func (p *Platform) URL() string {
	if p.url != "" {
		return p.url
	}
	return fmt.Sprintf("http://127.0.0.1:%d", gatewayPort+p.opt.Offset)
}

// Up starts the platform and returns when it is healthy.
func (p *Platform) Up() error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if out, err := p.CLI(ctx, "up", "--detach"); err != nil {
		return fmt.Errorf("gatehouse up: %w\n%s", err, out)
	}
	return nil
}

// Database connects to the platform's own PostgreSQL as its superuser, past the mesh: for looking at what the programs stored.
func (p *Platform) Database(ctx context.Context) (*pgx.Conn, error) {
	password, err := os.ReadFile(filepath.Join(p.State, "secrets", "postgres-superuser.password"))
	if err != nil {
		return nil, fmt.Errorf("read the superuser's password: %w", err)
	}
	server := pgserver.Server{Port: mesh.PostgresPort + p.opt.Offset, Password: config.NewSecret(strings.TrimSpace(string(password)))}
	settings, err := pgurl.Parse(server.SuperURL("gatehouse"))
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to the platform's database: %w", err)
	}
	return conn, nil
}

// BootstrapSecret is what `up` made for the first administrator.
func (p *Platform) BootstrapSecret() (string, error) {
	raw, err := os.ReadFile(filepath.Join(p.State, "secrets", "bootstrap.secret"))
	if err != nil {
		return "", fmt.Errorf("read the bootstrap secret: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// Down stops the platform.
func (p *Platform) Down() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := p.CLI(ctx, "down"); err != nil {
		return fmt.Errorf("gatehouse down: %w\n%s", err, out)
	}
	return nil
}

// Close stops the platform and removes its folder.
func (p *Platform) Close() error { return errors.Join(p.Down(), os.RemoveAll(p.Dir)) }

// CLI runs the operator's command against this platform and returns what it printed.
func (p *Platform) CLI(ctx context.Context, args ...string) ([]byte, error) {
	args = append(args, "--state", p.State)
	if args[0] == "up" {
		args = append(args, "--port-offset", strconv.Itoa(p.opt.Offset), "--bin-dir", p.Bin)
		if p.opt.Mesh != "" {
			args = append(args, "--mesh", filepath.Join(p.Root, p.opt.Mesh))
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.Bin, "gatehouse"), args...)
	cmd.Dir = p.Root
	cmd.Env = append(append(os.Environ(), "PATH="+filepath.Join(p.Root, ".bin")+":"+os.Getenv("PATH")), p.opt.Env...)
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.Bytes(), err
}

// Status asks `gatehouse status -o json`.
func (p *Platform) Status() (Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	out, err := p.CLI(ctx, "status", "-o", "json")
	var s Status
	if jsonErr := json.Unmarshal(out, &s); jsonErr != nil {
		return s, fmt.Errorf("gatehouse status: %w: %s", errors.Join(err, jsonErr), out)
	}
	return s, nil
}

// Service returns one row of Status.
func (p *Platform) Service(name string) (Service, error) {
	s, err := p.Status()
	if err != nil {
		return Service{}, err
	}
	for _, row := range s.Services {
		if row.Name == name {
			return row, nil
		}
	}
	return Service{}, fmt.Errorf("gatehouse status names no service %q", name)
}

// Environ is the environment of a running program. Files that it found among its open ones are
// named so that others find them, too.
func (p *Platform) Environ(program string) ([]string, error) {
	s, err := p.Service(program)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.PID))
	if err != nil {
		return nil, fmt.Errorf("read the environment of %s: %w", program, err)
	}
	environ := strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")
	for i, pair := range environ {
		environ[i] = strings.Replace(pair, "=/dev/fd/", fmt.Sprintf("=/proc/%d/fd/", s.PID), 1)
	}
	return environ, nil
}

// Races is an error that holds what the race detector wrote into a program's log, nil when it wrote nothing.
func (p *Platform) Races() error {
	logs, err := filepath.Glob(filepath.Join(p.State, "logs", "*"))
	if err != nil {
		return fmt.Errorf("find the logs: %w", err)
	}
	var all error
	for _, path := range logs {
		raw, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("read a log: %w", err)
		}
		if i := bytes.Index(raw, []byte("WARNING: DATA RACE")); i >= 0 {
			all = errors.Join(all, fmt.Errorf("%s: %s", filepath.Base(path), raw[i:min(i+3000, len(raw))]))
		}
	}
	return all
}

// PrintLogs writes the end of every program's log: what a failed run leaves to read.
func (p *Platform) PrintLogs(w io.Writer) {
	logs, err := filepath.Glob(filepath.Join(p.State, "logs", "*.log"))
	if err != nil {
		return
	}
	for _, path := range logs {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if len(raw) > 4000 {
			raw = raw[len(raw)-4000:]
		}
		fmt.Fprintf(w, "--- %s\n%s\n", filepath.Base(path), raw)
	}
}
