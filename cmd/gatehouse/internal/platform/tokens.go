package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// TokenName is the secret file of a service's Consul token.
func TokenName(service string) string { return "consul-" + service + ".token" }

// writeTokens gives the agent and every service an ACL token of its own: a service may register itself and its sidecar, get its own
// leaf certificate and find those that it calls, nothing else.
func (p *Platform) writeTokens(ctx context.Context) error {
	if err := registry.WritePolicies(ctx, p.consul, p.opts.Definition, p.opts.Prefix); err != nil {
		return err
	}
	var mu sync.Mutex
	p.tokens = map[string]string{}
	err := each(ctx, p.services(), func(ctx context.Context, name string) error {
		secret, err := p.token(ctx, TokenName(name), api.ACLToken{
			Description: "Gatehouse: service " + name,
			Policies:    []*api.ACLLink{{Name: p.opts.Prefix.Service(name)}},
		})
		mu.Lock()
		defer mu.Unlock()
		p.tokens[name] = secret
		return err
	})
	if err != nil {
		return err
	}
	// The agent of one machine serves nobody else: what had another prefix is of an earlier start.
	err = registry.DeletePolicies(ctx, p.consul, func(program, service string) bool { return service != p.opts.Prefix.Service(program) })
	if err != nil {
		return err
	}
	secret, err := p.token(ctx, TokenName("agent"), api.ACLToken{
		Description:    "Gatehouse: the agent itself",
		NodeIdentities: []*api.ACLNodeIdentity{{NodeName: NodeName, Datacenter: agent.Datacenter}},
	})
	if err != nil {
		return err
	}
	if _, err := p.consul.Agent().UpdateAgentACLToken(secret, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("give the Consul agent its token: %w", err)
	}
	return nil
}

// token makes sure that the secret in the named file is a token of Consul.
func (p *Platform) token(ctx context.Context, name string, want api.ACLToken) (string, error) {
	secret, err := p.opts.Dir.Secret(name, state.Token)
	if err != nil {
		return "", err
	}
	self, err := p.client(secret)
	if err != nil {
		return "", err
	}
	have, _, err := self.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	status, refused := asStatus(err)
	write := p.consul.ACL().TokenCreate
	switch {
	case refused && (status.Code == http.StatusForbidden || status.Code == http.StatusNotFound):
	case err != nil:
		return "", fmt.Errorf("look for Consul token %s: %w", name, err)
	case len(have.ServiceIdentities) == 0 && samePolicies(have, want):
		return secret, nil
	default: // it was made for another service prefix, or by a version that gave services identities
		want.AccessorID, write = have.AccessorID, p.consul.ACL().TokenUpdate
	}
	want.SecretID = secret
	if _, _, err := write(&want, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return "", fmt.Errorf("make Consul token %s: %w", name, err)
	}
	return secret, nil
}

func samePolicies(have *api.ACLToken, want api.ACLToken) bool {
	return slices.EqualFunc(have.Policies, want.Policies, func(a, b *api.ACLLink) bool { return a.Name == b.Name })
}

// asStatus finds the HTTP status in an error of Consul's client.
func asStatus(err error) (api.StatusError, bool) {
	var status api.StatusError
	ok := errors.As(err, &status)
	return status, ok
}
