package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// migrate brings the schema of every program that has one to the newest version, through the mesh.
func (p *Platform) migrate(ctx context.Context) error {
	begun := p.opts.Now()
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	err := each(ctx, p.databaseUsers(), func(ctx context.Context, name string) error {
		process := migration(name)
		err := p.group.Run(ctx, supervise.Spec{
			Name: process, Log: p.opts.Dir.Log(process),
			Command: func() (*exec.Cmd, error) { return p.program(name, "migrate") },
		})
		if err != nil {
			return p.explain(process, fmt.Errorf("migrate the database of %s: %w", name, err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.took(begun, "database schemas are up to date")
	return nil
}

// serve starts every program, waits until each says that it is healthy, and says so in Consul.
func (p *Platform) serve(ctx context.Context) error {
	begun := p.opts.Now()
	var names []string
	for _, program := range p.opts.Definition.Programs {
		names = append(names, program.Name)
	}
	err := each(ctx, names, func(ctx context.Context, name string) error {
		process := p.group.Start(supervise.Spec{
			Name: name, Stage: stagePrograms, Log: p.opts.Dir.Log(name),
			Command: func() (*exec.Cmd, error) { return p.program(name, "serve") },
		})
		if err := p.await(ctx, process, name, func(ctx context.Context) error { return p.healthy(ctx, name) }); err != nil {
			return err
		}
		return p.admit(ctx, name)
	})
	if err != nil {
		return err
	}
	p.took(begun, "%s serve", strings.Join(names, ", "))
	return nil
}

// healthy asks a program itself.
func (p *Platform) healthy(ctx context.Context, name string) error {
	program, err := p.opts.Definition.Program(name)
	if err != nil {
		return err
	}
	if program.Edge {
		return getOK(ctx, "http://"+p.address(program.OpsPort)+"/readyz")
	}
	conn, err := grpc.NewClient(p.address(program.Port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", name, err)
	}
	defer func() { _ = conn.Close() }()
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("ask %s for its health: %w", name, err)
	}
	if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		return errors.New("its health is " + answer.GetStatus().String())
	}
	return nil
}

// migration is the process that migrates the database of a program: one of its own, for it may do
// what the serving program may not.
func migration(program string) string { return program + "-migrate" }

// program is the command of one of our programs, in a closed environment.
func (p *Platform) program(name, verb string) (*exec.Cmd, error) {
	environ, err := p.environ(name, verb)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(p.opts.Programs.Own[name], verb)
	cmd.Env = environ
	cmd.Dir = p.opts.Dir.Root()
	process := name
	if verb == "migrate" {
		process = migration(name)
	}
	if err := p.seats.take(cmd, process); err != nil {
		discard(cmd)
		return nil, err
	}
	if err := p.seats.handVariables(cmd, process, p.opts.Dir.Root(), p.opts.Environ); err != nil {
		discard(cmd)
		return nil, err
	}
	if cmd.SysProcAttr != nil && p.listensLow(name) {
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE}
	}
	return cmd, nil
}

// unprivilegedPorts begin here.
const unprivilegedPorts = 1024

// listensLow reports whether a program is the edge and listens on a port that only root may.
func (p *Platform) listensLow(name string) bool {
	program, err := p.opts.Definition.Program(name)
	if err != nil || !program.Edge {
		return false
	}
	_, text, err := net.SplitHostPort(p.opts.Gateway.Address)
	if err != nil {
		return false
	}
	port, err := net.LookupPort("tcp", text) // it may be a name, as in :https
	return err == nil && port > 0 && port < unprivilegedPorts
}

// environ is the environment of a program: what the platform decides, and the operator's own settings for it.
func (p *Platform) environ(name, verb string) ([]string, error) {
	env := append(p.baseEnviron(), fmt.Sprintf("GATEHOUSE_MESH_PORT_OFFSET=%d", p.opts.Offset),
		"GATEHOUSE_MESH_TRUST_DOMAIN="+p.trustDomain(), "GATEHOUSE_MESH_DATACENTER="+agent.Datacenter)
	if slices.Contains(p.databaseUsers(), name) {
		env = append(env, "GATEHOUSE_POSTGRES_URL_FILE="+p.opts.Dir.SecretPath(databaseURL(p.databaseRole(name, verb))))
	}
	made, err := p.secretFiles(name)
	if err != nil {
		return nil, err
	}
	env = append(env, made...)
	if !isSet(p.opts.Environ, reflectionVariable) {
		env = append(env, reflectionVariable+"=true") // every local process has the protos anyway: this is a machine of one's own
	}
	return append(env, settings(p.opts.Environ, name, p.opts.Definition)...), nil
}

// reflectionVariable lets grpcurl and its like find methods by name.
const reflectionVariable = "GATEHOUSE_GRPC_REFLECTION"

// secretFiles makes a program's secret files, but those that the operator has given himself, and
// returns the variables that name them.
func (p *Platform) secretFiles(name string) ([]string, error) {
	program, err := p.opts.Definition.Program(name)
	if err != nil {
		return nil, err
	}
	var env []string
	for _, secret := range program.Secrets {
		variable := secret.Variable + "_FILE"
		if isSet(p.opts.Environ, secret.Variable) || isSet(p.opts.Environ, variable) {
			continue
		}
		generate := state.Password
		if secret.Kind == contract.KeySecret {
			generate = state.Key
		}
		if _, err := p.opts.Dir.Secret(secret.File, generate); err != nil {
			return nil, err
		}
		env = append(env, variable+"="+p.opts.Dir.SecretPath(secret.File))
	}
	return env, nil
}

// settings are the operator's GATEHOUSE_ variables that reach a program: those of the kernel and of its own area, but none that the
// platform decides.
func settings(environ []string, name string, def *mesh.Definition) []string {
	var chosen []string
	for _, pair := range environ {
		variable, _, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(variable, "GATEHOUSE_")
		if !ours || decided(rest) {
			continue
		}
		if owner := areaOwner(rest, def); owner == "" || owner == name {
			chosen = append(chosen, pair)
		}
	}
	return chosen
}

// decided reports whether the platform sets a variable itself, or keeps it to itself.
func decided(rest string) bool {
	return rest == "URL" || strings.HasPrefix(rest, "MESH_") || rest == "POSTGRES_URL" || rest == "POSTGRES_URL_FILE" ||
		strings.HasPrefix(rest, "CONSUL_") || strings.HasPrefix(rest, "CLI_")
}

// areaOwner is the program whose name is the area of a variable, "" for the kernel's.
func areaOwner(rest string, def *mesh.Definition) string {
	for _, program := range def.Programs {
		area := strings.ToUpper(strings.ReplaceAll(program.Name, "-", "_"))
		if strings.HasPrefix(rest, area+"_") {
			return program.Name
		}
	}
	return ""
}

func isSet(environ []string, variable string) bool {
	return slices.ContainsFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, variable+"=") && pair != variable+"=" })
}
