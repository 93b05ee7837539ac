package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// NodeName is the agent's name in its catalog of one.
const NodeName = "gatehouse"

// ManagementToken is the secret file of the operator's Consul token.
const ManagementToken = state.ManagementToken

// agentConfig is the secret file of the agent's configuration: it holds the gossip key and the management token.
const agentConfig = "consul.hcl"

// agentServices is the secret file of the services that the agent begins with: it holds their tokens.
const agentServices = "consul-services.json"

// startConsul starts the agent and waits until it is its own leader and knows its ACLs and CA.
func (p *Platform) startConsul(ctx context.Context) error {
	begun := p.opts.Now()
	if err := p.opts.Dir.MakeConsul(); err != nil {
		return err
	}
	management, err := p.opts.Dir.Secret(ManagementToken, state.Token)
	if err != nil {
		return err
	}
	gossip, err := p.opts.Dir.Secret("consul-gossip.key", state.Key)
	if err != nil {
		return err
	}
	if err := p.makeCertificates(); err != nil {
		return err
	}
	config := agent.OneMachine{
		NodeName: NodeName, GossipKey: gossip, ManagementToken: management,
		HTTPSPort: mesh.ConsulHTTPSPort + p.opts.Offset, XDSPort: mesh.ConsulXDSPort + p.opts.Offset,
		SerfPort: mesh.ConsulSerfPort + p.opts.Offset, ServerPort: mesh.ConsulRPCPort + p.opts.Offset,
	}
	if p.consul, err = p.client(management); err != nil {
		return err
	}
	process := p.group.Start(supervise.Spec{
		Name: state.ConsulProcess, Stage: stageConsul, Log: p.opts.Dir.Log(state.ConsulProcess),
		Command: func() (*exec.Cmd, error) {
			if err := p.writeKnownServices(context.WithoutCancel(ctx)); err != nil {
				return nil, err
			}
			return p.agent(config)
		},
	})
	if err := p.await(ctx, process, "Consul", p.consulReady); err != nil {
		return err
	}
	p.took(begun, "Consul %s on %s", p.opts.Programs.Consul.Version, p.record.Consul)
	return nil
}

// agent is the command of Consul's agent. It finds its data and its files where its user can reach
// them.
func (p *Platform) agent(config agent.OneMachine) (*exec.Cmd, error) {
	cmd, err := p.consulCommand(context.Background(), "agent") // it ends with the group
	if err != nil {
		return nil, err
	}
	if err := p.equipAgent(cmd, config); err != nil {
		discard(cmd)
		return nil, err
	}
	return cmd, nil
}

func (p *Platform) equipAgent(cmd *exec.Cmd, config agent.OneMachine) (err error) {
	if config.DataDir, err = p.seats.own(cmd, state.ConsulProcess, p.opts.Dir.Consul()); err != nil {
		return err
	}
	if err := p.consulFiles(map[string]*string{ConsulCA: &config.CAFile, consulServerCert: &config.CertFile, consulServerKey: &config.KeyFile}); err != nil {
		return err
	}
	rendered, err := config.Render()
	if err != nil {
		return err
	}
	if err := p.opts.Dir.WriteSecret(agentConfig, string(rendered)); err != nil {
		return err
	}
	var own, services string
	err = p.consulFiles(map[string]*string{agentConfig: &own, agentServices: &services})
	cmd.Args = append(cmd.Args, "-config-file", own, "-config-file", services)
	return err
}

// consulCommand is a command of Consul's program, as Consul's user.
func (p *Platform) consulCommand(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, p.opts.Programs.Consul.Path, args...)
	cmd.Env = p.baseEnviron()
	cmd.Dir = p.opts.Dir.Root()
	if err := p.seats.take(cmd, state.ConsulProcess); err != nil {
		discard(cmd)
		return nil, err
	}
	return cmd, nil
}

// consulFiles says where Consul's program finds secret files.
func (p *Platform) consulFiles(paths map[string]*string) (err error) {
	for secret, path := range paths {
		if *path, err = p.seats.hand(state.ConsulProcess, secret, p.opts.Dir.SecretPath(secret)); err != nil {
			return err
		}
	}
	return nil
}

// readTrustDomain learns whose SPIFFE ids are this mesh's. It belongs to the agent's data, so it
// outlives every restart.
func (p *Platform) readTrustDomain(ctx context.Context) error {
	list, _, err := p.consul.Agent().ConnectCARoots((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("get the mesh's CA from Consul: %w", err)
	}
	if list.TrustDomain == "" {
		return errors.New("Consul's CA names no trust domain")
	}
	p.update(func(r *state.Record) { r.TrustDomain = list.TrustDomain })
	return nil
}

// trustDomain is what readTrustDomain has learnt.
func (p *Platform) trustDomain() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record.TrustDomain
}

// knowsUs asks with the management token. A data folder that was made with another one never will.
func (p *Platform) knowsUs(ctx context.Context) error {
	_, _, err := p.consul.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	if status, ok := asStatus(err); ok && status.Code == 403 {
		return fmt.Errorf("it does not know the management token: its data in %s belong to another state folder: remove them: %w", p.opts.Dir.Consul(), err)
	}
	return err
}

// client makes a Consul client with the given token and nothing from the environment.
func (p *Platform) client(token string) (*api.Client, error) {
	return registry.NewClient(p.address(mesh.ConsulHTTPSPort), ConsulAPI(p.opts.Dir, token))
}

// baseEnviron is the closed environment of every child: nothing of the operator's own gets into it by chance.
func (p *Platform) baseEnviron() []string {
	return []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + p.opts.Dir.Root(), "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8"}
}
