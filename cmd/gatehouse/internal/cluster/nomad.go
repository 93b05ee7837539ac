package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
)

// Nomad makes a client of the Nomad API of a cluster, with the operator's certificate and token.
func Nomad(dir state.Dir, r Record) (*api.Client, error) {
	token, err := dir.ReadSecret(NomadToken)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(&api.Config{Address: r.Nomad, SecretID: token, TLSConfig: &api.TLSConfig{
		CACert: dir.SecretPath(AgentsCA), ClientCert: dir.SecretPath(OperatorCert), ClientKey: dir.SecretPath(OperatorKey),
	}})
	if err != nil {
		return nil, fmt.Errorf("make a client of Nomad: %w", err)
	}
	return client, nil
}

// bootstrapNomad waits for the server and makes the operator's token.
func (c *cluster) bootstrapNomad(ctx context.Context) error {
	client, err := Nomad(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	return bootstrapNomad(ctx, client, c.keys.tokens.Nomad)
}

// bootstrapNomad may run again.
func bootstrapNomad(ctx context.Context, client *api.Client, token string) error {
	return await(ctx, patience, "Nomad", func(ctx context.Context) error {
		_, _, err := client.ACLTokens().BootstrapOpts(token, (&api.WriteOptions{}).WithContext(ctx))
		if err == nil {
			return nil
		}
		if _, _, known := client.ACLTokens().Self((&api.QueryOptions{}).WithContext(ctx)); known == nil {
			return nil // made before, or by an attempt whose answer came too late
		}
		return err
	})
}

// awaitNode waits until a client takes jobs.
func (c *cluster) awaitNode(ctx context.Context, name string) error {
	client, err := Nomad(c.opts.Dir, c.record)
	if err != nil {
		return err
	}
	return await(ctx, patience, name, func(ctx context.Context) error {
		nodes, _, err := client.Nodes().List((&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		for _, node := range nodes {
			if node.Name != name {
				continue
			}
			info, _, err := client.Nodes().Info(node.ID, (&api.QueryOptions{}).WithContext(ctx))
			switch {
			case err != nil:
				return err
			case info.Status != api.NodeStatusReady:
				return fmt.Errorf("it is %s", info.Status)
			case info.Attributes["consul.version"] == "":
				return fmt.Errorf("it has not found its Consul agent")
			case info.Attributes["plugins.cni.version.bridge"] == "":
				return fmt.Errorf("it has found no CNI plugins")
			}
			return nil
		}
		return fmt.Errorf("Nomad does not know it")
	})
}
