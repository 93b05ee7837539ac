package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
)

const (
	anonymousToken = "00000000-0000-0000-0000-000000000002" // its accessor in every Consul
	leafEndpoint   = "/v1/agent/connect/ca/leaf"
)

// consulAnonymous is about R75: who shows no token may do nothing.
func consulAnonymous(ctx context.Context, site *Site) ([]Finding, error) {
	found, err := site.withoutToken(ctx, anonymousToken, "the anonymous token",
		"take its policies and roles away: PUT /v1/acl/token/"+anonymousToken+" with {} (`consul acl token update` cannot take the last one)")
	if err != nil {
		return nil, err
	}
	// A caller without a token is whoever the agent's default token is.
	self, _, err := site.Anonymous.ACL().TokenReadSelf(asked(ctx))
	var refused api.StatusError
	switch {
	case errors.As(err, &refused) && refused.Code == http.StatusForbidden:
		return found, nil // nobody stands in for the anonymous, who may not read itself
	case err != nil:
		return found, fmt.Errorf("ask who is meant without a token: %w", err)
	case self.AccessorID == anonymousToken:
		return found, nil
	}
	more, err := site.withoutToken(ctx, self.AccessorID, "the agent's default token, which stands in for who shows none,",
		"take acl { tokens { default } } out of the agent's configuration (consul acl set-agent-token default \"\")")
	return append(found, more...), err
}

// withoutToken says what callers may do that have none.
func (s *Site) withoutToken(ctx context.Context, accessor, name, fix string) ([]Finding, error) {
	token, _, err := s.Consul.ACL().TokenReadExpanded(accessor, asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("read what %s may do: %w", name, err)
	}
	given, err := s.givenTo(token)
	if err != nil {
		return nil, err
	}
	taken := []string{}
	for _, service := range s.services() {
		if given.writes(service) {
			taken = append(taken, service)
		}
	}
	slices.Sort(taken)
	policies := []string{}
	for _, policy := range token.ExpandedPolicies {
		policies = append(policies, policy.Name)
	}
	for _, identity := range token.ServiceIdentities {
		policies = append(policies, "service identity "+identity.ServiceName)
	}
	switch {
	case len(taken) > 0:
		return []Finding{{
			Level: Danger, What: fmt.Sprintf("%s may be %s (%s)", name, few(taken), few(policies)),
			Why: "whoever reaches an agent gets their certificates, and a sidecar without a token works unnoticed", Fix: fix,
		}}, nil
	case len(policies) > 0:
		return []Finding{{
			Level: Warning, What: fmt.Sprintf("%s has rights (%s)", name, few(policies)), Why: "whoever reaches an agent has them", Fix: fix,
		}}, nil
	}
	return nil, nil
}

// givenTo are the rights of a token, those of its roles among them.
func (s *Site) givenTo(token *api.ACLTokenExpanded) (given, error) {
	var all given
	for _, policy := range token.ExpandedPolicies {
		g, err := readGrant(policy.Rules)
		if err != nil {
			return all, fmt.Errorf("policy %s: %w", policy.Name, err)
		}
		all.grants = append(all.grants, g)
	}
	for _, identity := range token.ServiceIdentities {
		all.services = append(all.services, identity.ServiceName)
	}
	for _, role := range token.ExpandedRoles {
		for _, identity := range role.ServiceIdentities {
			all.services = append(all.services, identity.ServiceName)
		}
	}
	return all, nil
}

// given are rights of a token.
type given struct {
	grants   []grant
	services []string // of its service identities
}

func (g given) writes(service string) bool {
	return slices.ContainsFunc(g.grants, func(one grant) bool { return one.writes(service) }) ||
		slices.ContainsFunc(g.services, func(name string) bool { return identityOf(name, service) })
}

// consulLeaf asks without a token for the private key of a service that runs at this agent: its cache
// does not look who asks (R87).
func consulLeaf(ctx context.Context, site *Site) ([]Finding, error) {
	a, err := site.self(ctx)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(a.DebugConfig.HTTPBlockEndpoints, func(path string) bool { return strings.HasPrefix(leafEndpoint, strings.TrimSuffix(path, "/")) }) {
		return nil, nil
	}
	running, err := site.Consul.Agent().ServicesWithFilterOpts(`Kind == "connect-proxy"`, asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("ask Consul's agent for its services: %w", err)
	}
	fix := fmt.Sprintf(`set http_config { block_endpoints = [%q] } on all agents: sidecars get their certificates over xDS`, leafEndpoint)
	for _, proxy := range running {
		service := proxy.Proxy.DestinationServiceName
		var leaf struct{ ValidBefore string } // and nothing else of it
		if _, err := site.Anonymous.Raw().Query(leafEndpoint+"/"+service, &leaf, (&api.QueryOptions{}).WithContext(ctx)); err == nil && leaf.ValidBefore != "" {
			return []Finding{{
				Level: Danger, What: fmt.Sprintf("the agent %s gives the private key of %s to who shows no token", a.Config.NodeName, service),
				Why: "whoever reaches its API calls as that service, and as every other one that runs there", Fix: fix,
			}}, nil
		}
	}
	return []Finding{{
		Level: Warning, What: fmt.Sprintf("the agent %s does not block %s", a.Config.NodeName, leafEndpoint),
		Why: "once a service's certificate is in its cache, it is given to callers without a token, with its private key", Fix: fix,
	}}, nil
}

// firstTokens begin the descriptions of the tokens that Consul makes first.
func firstTokens() []string { return []string{"Bootstrap Token", "Initial Management Token"} }

// consulToken is about the rights of the token that is given: too few for an apply, or the first one.
func consulToken(ctx context.Context, site *Site) ([]Finding, error) {
	self, _, err := site.Consul.ACL().TokenReadSelf(asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the given token: %w: set CONSUL_HTTP_TOKEN to one that this Consul knows", err)
	}
	var found []Finding
	if slices.ContainsFunc(firstTokens(), func(begin string) bool { return strings.HasPrefix(self.Description, begin) }) {
		found = append(found, Finding{
			Level: Warning, What: fmt.Sprintf("CONSUL_HTTP_TOKEN is Consul's first token (%s)", self.Description), Why: "it may do everything, never ends and is nobody's",
			Fix: "make tokens of their own for operators and for Terraform, that expire (consul acl token create -expires-ttl), and delete it",
		})
	}
	token, _, err := site.Consul.ACL().TokenReadExpanded(self.AccessorID, asked(ctx))
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusForbidden {
		return append(found, tooFew("acl")), nil
	}
	if err != nil {
		return found, fmt.Errorf("read what the given token may do: %w", err)
	}
	given, err := site.givenTo(token)
	if err != nil {
		return found, err
	}
	if lacks := site.lacking(given); len(lacks) > 0 {
		found = append(found, tooFew(lacks...))
	}
	return found, nil
}

// lacking are the resources that an apply writes and the rights do not.
func (s *Site) lacking(g given) []string {
	var lacks []string
	if !slices.ContainsFunc(g.grants, func(one grant) bool { return one.everything }) {
		lacks = append(lacks, "acl")
	}
	for _, service := range s.services() {
		if !slices.ContainsFunc(g.grants, func(one grant) bool { return one.decides(service) }) {
			return append(lacks, "services and their intentions")
		}
	}
	return lacks
}

func tooFew(what ...string) Finding {
	return Finding{
		Level: Warning, What: "the token in CONSUL_HTTP_TOKEN may not write " + strings.Join(what, ", "), Why: "it is enough to look, and an apply with it stops halfway",
		Fix: `apply with one that has acl = "write" and service_prefix "<prefix>" { policy = "write", intentions = "write" }`,
	}
}
