package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// startSidecars starts one Envoy per service and waits until each has its configuration from Consul.
func (p *Platform) startSidecars(ctx context.Context) error {
	begun := p.opts.Now()
	if err := each(ctx, p.services(), p.startSidecar); err != nil {
		return err
	}
	p.took(begun, "%d sidecars, Envoy %s", len(p.services()), p.opts.Programs.Envoy.Version)
	return nil
}

func (p *Platform) startSidecar(ctx context.Context, service string) error {
	admin, backing, err := p.adminPort(service)
	if err != nil {
		return err
	}
	bootstrap, err := p.bootstrap(ctx, service, admin)
	if err != nil {
		return err
	}
	name := state.SidecarOf(service)
	process := p.group.Start(supervise.Spec{
		Name: name, Stage: stageSidecars, Log: p.opts.Dir.Log(name),
		Command: func() (*exec.Cmd, error) { return p.envoy(bootstrap, backing) },
	})
	return p.await(ctx, process, service+"'s sidecar", func(ctx context.Context) error {
		return getOK(ctx, "http://"+p.address(admin)+"/ready")
	})
}

func (p *Platform) adminPort(service string) (port int, backing bool, err error) {
	program, err := p.opts.Definition.Program(service)
	if err == nil {
		return program.Admin, false, nil
	}
	b, err := p.opts.Definition.Backing(service)
	return b.Admin, true, err
}

// bootstrap asks Consul's CLI for Envoy's first configuration. It holds the service's token, so it stays in memory.
func (p *Platform) bootstrap(ctx context.Context, service string, admin int) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.opts.Programs.Consul.Path, "connect", "envoy", "-bootstrap", "-sidecar-for", service,
		"-http-addr", "https://"+p.address(mesh.ConsulHTTPSPort), "-grpc-addr", "https://"+p.address(mesh.ConsulXDSPort),
		"-ca-file", p.opts.Dir.SecretPath(ConsulCA), "-client-cert", p.opts.Dir.SecretPath(ConsulClientCert), "-client-key", p.opts.Dir.SecretPath(ConsulClientKey),
		"-admin-bind", p.address(admin), "-token-file", p.opts.Dir.SecretPath(TokenName(service)), "-ignore-envoy-compatibility")
	cmd.Env = p.baseEnviron()
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("make the bootstrap of %s's sidecar: %w: %s", service, err, bytes.TrimSpace(problem.Bytes()))
	}
	return closeAdmin(out.Bytes())
}

// Seconds that Envoy lets old connections of a changed listener live. Calls are cut over at once and finish within a second; database
// connections are long-lived and get the time until their pool replaces them (docs/architecture/discovery.md).
const (
	drainCalls    = 2
	drainDatabase = 600
)

// envoy is the command of a sidecar. Bootstrap and, for root, the program itself are handed over as open files: the unprivileged user
// that Envoy runs as then needs no access to the folders they are in.
func (p *Platform) envoy(bootstrap []byte, backing bool) (*exec.Cmd, error) {
	configuration, err := memory("bootstrap", bootstrap)
	if err != nil {
		return nil, err
	}
	drain := drainCalls
	if backing {
		drain = drainDatabase
	}
	cmd := exec.Command(p.opts.Programs.Envoy.Path, "--config-path", "/dev/fd/3", "--disable-hot-restart", "--concurrency", "1",
		"--drain-time-s", strconv.Itoa(drain), "--drain-strategy", "immediate", "--log-level", "warn")
	cmd.Env = p.baseEnviron()
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{configuration}
	if os.Geteuid() != 0 {
		return cmd, nil
	}
	credential, err := unprivileged()
	if err != nil {
		return nil, errors.Join(err, configuration.Close())
	}
	binary, err := os.Open(cmd.Path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open envoy: %w", err), configuration.Close())
	}
	cmd.Path = "/proc/self/fd/4"
	cmd.ExtraFiles = append(cmd.ExtraFiles, binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return cmd, nil
}

// unprivileged is the user that sidecars run as when the platform runs as root.
func unprivileged() (*syscall.Credential, error) {
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil, fmt.Errorf("sidecars run as the user nobody, which this machine lacks: add it, or run gatehouse as an ordinary user: %w", err)
	}
	uid, err := strconv.ParseUint(nobody.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the id of the user nobody: %w", err)
	}
	gid, err := strconv.ParseUint(nobody.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("read the group of the user nobody: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// memory is an open file that exists in memory only.
func memory(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(slices.Clone(content)); err != nil {
		return nil, errors.Join(fmt.Errorf("fill a file in memory: %w", err), f.Close())
	}
	return f, nil
}

// getOK asks for a page that must answer 200.
func getOK(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
