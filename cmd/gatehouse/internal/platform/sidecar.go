package platform

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// startSidecars starts one Envoy per service and waits until each has its configuration from Consul.
func (p *Platform) startSidecars(ctx context.Context) error {
	begun := p.opts.Now()
	if err := each(ctx, p.units(), p.startSidecar); err != nil {
		return err
	}
	p.took(begun, "%d sidecars, Envoy %s", len(p.units()), p.opts.Programs.Envoy.Version)
	return nil
}

func (p *Platform) startSidecar(ctx context.Context, u unit) error {
	bootstrap, err := p.bootstrap(ctx, u)
	if err != nil {
		return err
	}
	name := state.SidecarOf(u.id)
	process := p.group.Start(supervise.Spec{
		Name: name, Stage: stageSidecars, Log: p.opts.Dir.Log(name),
		Command: func() (*exec.Cmd, error) { return p.envoy(u.id, bootstrap, u.backing) },
	})
	return p.await(ctx, process, u.id+"'s sidecar", func(ctx context.Context) error {
		return getOK(ctx, "http://"+p.address(u.admin)+"/ready")
	})
}

// bootstrap asks Consul's CLI for Envoy's first configuration. It holds the service's token, so it stays in memory.
func (p *Platform) bootstrap(ctx context.Context, u unit) ([]byte, error) {
	var token, authority, cert, key string
	err := p.consulFiles(map[string]*string{TokenName(u.name): &token, ConsulCA: &authority, ConsulClientCert: &cert, ConsulClientKey: &key})
	if err != nil {
		return nil, err
	}
	cmd, err := p.consulCommand(ctx, "connect", "envoy", "-bootstrap", "-sidecar-for", p.opts.Prefix.Service(u.id),
		"-http-addr", "https://"+p.address(mesh.ConsulHTTPSPort), "-grpc-addr", "https://"+p.address(mesh.ConsulXDSPort),
		"-ca-file", authority, "-client-cert", cert, "-client-key", key,
		"-admin-bind", p.address(u.admin), "-token-file", token, "-ignore-envoy-compatibility")
	if err != nil {
		return nil, err
	}
	defer discard(cmd)
	var out, problem bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("make the bootstrap of %s's sidecar: %w: %s", u.id, err, bytes.TrimSpace(problem.Bytes()))
	}
	return closeAdmin(out.Bytes())
}

// Seconds that Envoy lets old connections of a changed listener live. Calls are cut over at once and finish within a second; database
// connections are long-lived and get the time until their pool replaces them (docs/architecture/discovery.md).
const (
	drainCalls    = 2
	drainDatabase = 600
)

// envoy is the command of a sidecar. The bootstrap is handed over as an open file.
func (p *Platform) envoy(id string, bootstrap []byte, backing bool) (*exec.Cmd, error) {
	drain := drainCalls
	if backing {
		drain = drainDatabase
	}
	cmd := exec.Command(p.opts.Programs.Envoy.Path, "--disable-hot-restart", "--concurrency", "1", //nolint:noctx // supervise ends it, in order
		"--drain-time-s", strconv.Itoa(drain), "--drain-strategy", "immediate", "--log-level", "warn")
	cmd.Env = p.baseEnviron()
	cmd.Dir = "/"
	process := state.SidecarOf(id)
	if err := p.seats.take(cmd, process); err != nil {
		discard(cmd)
		return nil, err
	}
	configuration, err := p.seats.memory(process, bootstrap)
	if err != nil {
		discard(cmd)
		return nil, err
	}
	cmd.Args = append(cmd.Args, "--config-path", inherit(cmd, configuration))
	return cmd, nil
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
