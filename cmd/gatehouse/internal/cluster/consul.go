package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// Consul makes a client of the Consul API of a cluster, with the operator's certificate and token.
func Consul(dir state.Dir, r Record) (*api.Client, error) {
	token, err := dir.ReadSecret(ConsulToken)
	if err != nil {
		return nil, err
	}
	return registry.NewClient(r.Consul, registry.Config{
		CA: dir.SecretPath(AgentsCA), Cert: dir.SecretPath(OperatorCert), Key: dir.SecretPath(OperatorKey), Token: config.NewSecret(token),
	})
}

// bootstrapConsul waits for the server and gives the agents their tokens.
func (c *cluster) bootstrapConsul(ctx context.Context) error {
	client, err := Consul(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	err = await(ctx, patience, "Consul", func(ctx context.Context) error {
		roots, _, err := client.Agent().ConnectCARoots(asked(ctx))
		if err != nil {
			return err
		}
		if roots.TrustDomain == "" {
			return fmt.Errorf("its CA names no trust domain")
		}
		c.record.TrustDomain = roots.TrustDomain
		_, _, err = client.ACL().TokenReadSelf(asked(ctx))
		return err
	})
	if err != nil {
		return err
	}
	for name, secret := range c.keys.agentTokens {
		if err := createToken(ctx, client, &api.ACLToken{
			SecretID: secret, Description: "Gatehouse: agent of " + name,
			NodeIdentities: []*api.ACLNodeIdentity{{NodeName: name, Datacenter: agent.Datacenter}},
		}); err != nil {
			return err
		}
	}
	for name, secret := range c.keys.nomadAgents {
		policy, _, err := client.ACL().PolicyCreate(registry.NomadClientPolicy(name, servicePrefix), written(ctx))
		if err != nil {
			return fmt.Errorf("write the policy of the Nomad client %s: %w", name, err)
		}
		if err := createToken(ctx, client, &api.ACLToken{SecretID: secret, Description: policy.Description, Policies: []*api.ACLLink{{ID: policy.ID}}}); err != nil {
			return err
		}
	}
	return nil
}

func createToken(ctx context.Context, client *api.Client, token *api.ACLToken) error {
	if _, _, err := client.ACL().TokenCreate(token, written(ctx)); err != nil {
		return fmt.Errorf("make the token %q: %w", token.Description, err)
	}
	return nil
}

func asked(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

func written(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }
