package cluster

import (
	"context"
	"fmt"
	"slices"

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
	c.record.TrustDomain, err = bootstrapConsul(ctx, client, c.keys.tokens)
	return err
}

// bootstrapConsul returns the trust domain of the mesh. It may run again.
func bootstrapConsul(ctx context.Context, client *api.Client, tokens tokens) (trustDomain string, err error) {
	err = await(ctx, patience, "Consul", func(ctx context.Context) error {
		roots, _, err := client.Agent().ConnectCARoots(asked(ctx))
		if err != nil {
			return err
		}
		if roots.TrustDomain == "" {
			return fmt.Errorf("its CA names no trust domain")
		}
		trustDomain = roots.TrustDomain
		_, _, err = client.ACL().TokenReadSelf(asked(ctx))
		return err
	})
	if err != nil {
		return "", err
	}
	for name, secret := range tokens.Agents {
		if err := createToken(ctx, client, &api.ACLToken{
			SecretID: secret, Description: "Gatehouse: agent of " + name,
			NodeIdentities: []*api.ACLNodeIdentity{{NodeName: name, Datacenter: agent.Datacenter}},
		}); err != nil {
			return "", err
		}
	}
	for name, secret := range tokens.NomadAgents {
		if err := giveNomadClient(ctx, client, name, secret); err != nil {
			return "", err
		}
	}
	return trustDomain, nil
}

// giveNomadClient makes the token of a Nomad client.
func giveNomadClient(ctx context.Context, client *api.Client, name, secret string) error {
	want := registry.NomadClientPolicy(name, servicePrefix)
	policy, _, err := client.ACL().PolicyReadByName(want.Name, asked(ctx))
	if err == nil && policy == nil {
		policy, _, err = client.ACL().PolicyCreate(want, written(ctx))
	}
	if err != nil {
		return fmt.Errorf("write the policy of the Nomad client %s: %w", name, err)
	}
	return createToken(ctx, client, &api.ACLToken{SecretID: secret, Description: policy.Description, Policies: []*api.ACLLink{{ID: policy.ID}}})
}

// createToken makes a token unless it was made before.
func createToken(ctx context.Context, client *api.Client, token *api.ACLToken) error {
	all, _, err := client.ACL().TokenList(asked(ctx))
	if err == nil && !slices.ContainsFunc(all, func(t *api.ACLTokenListEntry) bool { return t.SecretID == token.SecretID }) {
		_, _, err = client.ACL().TokenCreate(token, written(ctx))
	}
	if err != nil {
		return fmt.Errorf("make the token %q: %w", token.Description, err)
	}
	return nil
}

func asked(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

func written(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }
