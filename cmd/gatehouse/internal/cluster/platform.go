package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/secrets"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/nomad"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

// writeACLs writes what Consul and Nomad must know of our jobs before they run: policies, how
// workloads log in to Consul, the namespace.
func (c *cluster) writeACLs(ctx context.Context) error {
	client, err := Consul(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	if err := registry.WritePolicies(ctx, client, c.opts.Definition, servicePrefix); err != nil {
		return err
	}
	login := registry.Login(c.record.Nomad+"/.well-known/jwks.json", c.keys.agents.PEM)
	if err := registry.WriteLogin(ctx, client, c.opts.Definition, servicePrefix, login); err != nil {
		return err
	}
	scheduler, err := Nomad(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	return acl.Apply(ctx, scheduler)
}

// writeSecrets makes the secrets of the jobs in Nomad, with a certificate of the site's authority for
// the gateway, and keeps those that the operator uses in the state folder too.
func (c *cluster) writeSecrets(ctx context.Context) error {
	cert, key, err := c.keys.site.Issue(GatewayName, []string{GatewayName})
	if err != nil {
		return err
	}
	pairs, err := Environ(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	var environ []string
	for _, pair := range pairs {
		environ = append(environ, pair[0]+"="+pair[1])
	}
	keeper, err := secrets.New(secrets.Nomad{Environ: environ}, c.opts.Definition, secrets.Database{}, secrets.Certificate{Cert: cert, Key: key}, func(string, ...any) {})
	if err != nil {
		return err
	}
	if err := keeper.Ensure(ctx, false); err != nil {
		return err
	}
	client, err := Nomad(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	for _, program := range c.opts.Definition.Programs {
		for _, secret := range program.Secrets {
			if secret.Use == "" {
				continue
			}
			kept, _, err := client.Variables().Read(secrets.Path(program.Name, plan.Serve), (&api.QueryOptions{Namespace: operator.Namespace}).WithContext(ctx))
			if err != nil {
				return fmt.Errorf("read the secret %s: %w", secret.Variable, err)
			}
			if err := c.opts.Dir.WriteSecret(secret.File, kept.Items[secret.Variable]); err != nil {
				return err
			}
		}
	}
	return nil
}

// runJobs runs the platform: the database, then the programs, which wait for each other.
func (c *cluster) runJobs(ctx context.Context) error {
	jobs, err := nomad.Jobs()
	if err != nil {
		return err
	}
	return c.runAll(ctx, jobs, mesh.Postgres)
}
