package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/verify"
	"github.com/gatehouse/gatehouse/internal/registry"
)

// tokensForeign looks for tokens that are one of our services and were given by no rule of ours: they
// outlive the rule by which somebody has got them.
func tokensForeign(ctx context.Context, site *Site) ([]Finding, error) {
	list, err := site.tokens(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, token := range list {
		if strings.HasPrefix(token.Description, verify.PolicyPrefix) && token.ExpirationTime != nil {
			continue
		}
		for _, program := range registry.Services(site.Definition) {
			service := site.Prefix.Service(program)
			policy, identity := isToken(token, service)
			revoke := "find out who has it, and revoke it: consul acl token delete -accessor-id " + token.AccessorID
			switch {
			case identity:
				found = append(found, Finding{
					Level: Danger, What: fmt.Sprintf("the token %s (%s) has the service identity of %s", token.AccessorID, token.Description, service),
					Why: "whoever has it gets that service's certificate; Gatehouse's rules give policies and no identities", Fix: revoke,
				})
			case policy && token.AuthMethod == "":
				found = append(found, Finding{
					Level: Warning, What: fmt.Sprintf("the token %s (%s) is %s and was made by hand", token.AccessorID, token.Description, service) + endless(token),
					Why: "whoever has it gets that service's certificate, on any host", Fix: revoke + ", if no host without Nomad uses it",
				})
			}
		}
	}
	return found, nil
}

func endless(token *api.ACLTokenListEntry) string {
	if token.ExpirationTime == nil {
		return ", and never ends"
	}
	return ""
}

func (s *Site) tokens(ctx context.Context) ([]*api.ACLTokenListEntry, error) {
	list, _, err := s.Consul.ACL().TokenList(asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Consul's tokens: %w", err)
	}
	return list, nil
}

// tokensLeftOver looks for tokens of allocations that run no more, and for what commands of ours have
// left when they were killed.
func tokensLeftOver(ctx context.Context, site *Site) ([]Finding, error) {
	list, err := site.tokens(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, token := range list {
		if strings.HasPrefix(token.Description, verify.PolicyPrefix) && token.ExpirationTime == nil {
			found = append(found, Finding{
				Level: Warning, What: fmt.Sprintf("the token %s of a check (%s) never ends", token.AccessorID, token.Description), Why: "it can be any program of the mesh",
				Fix: "consul acl token delete -accessor-id " + token.AccessorID,
			})
		}
	}
	policies, err := site.policies(ctx)
	if err != nil {
		return found, err
	}
	for _, policy := range policies {
		if strings.HasPrefix(policy.Name, verify.PolicyPrefix) {
			found = append(found, Finding{
				Level: Warning, What: fmt.Sprintf("the policy %s of a check is there", policy.Name), Why: "a check that runs has it; one that was killed has left it",
				Fix: "if no `gatehouse mesh verify` runs: consul acl policy delete -id " + policy.ID,
			})
		}
	}
	more, err := site.ended(ctx, list)
	return append(found, more...), err
}

// ended counts the tokens that Nomad's workloads were given, beside the allocations that run.
func (s *Site) ended(ctx context.Context, tokens []*api.ACLTokenListEntry) ([]Finding, error) {
	var found []Finding
	for _, program := range registry.Services(s.Definition) {
		service, given := s.Prefix.Service(program), 0
		for _, token := range tokens {
			if policy, _ := isToken(token, service); policy && token.AuthMethod == s.AuthMethod {
				given++
			}
		}
		if given == 0 {
			continue
		}
		if s.Nomad == nil {
			return found, fmt.Errorf("whether tokens were left by allocations that have ended: %s", s.NoNomad)
		}
		all, _, err := s.Nomad.Jobs().Allocations(program, true, (&nomad.QueryOptions{Namespace: operator.Namespace}).WithContext(ctx))
		if err != nil {
			return found, fmt.Errorf("ask Nomad for the allocations of %s: %w", program, err)
		}
		running := 0
		for _, a := range all {
			if a.ClientStatus == nomad.AllocClientStatusPending || a.ClientStatus == nomad.AllocClientStatusRunning {
				running++
			}
		}
		if given > running {
			found = append(found, Finding{
				Level: Warning, What: fmt.Sprintf("workloads of Nomad have %d tokens of %s, and %d of its allocations run", given, service, running),
				Why: "Nomad takes a token back when an allocation ends; one that a lost host has had stays good",
				Fix: fmt.Sprintf("consul acl token list -format json, and delete those with the policy %s that are older than the allocations", service),
			})
		}
	}
	return found, nil
}

// proxiesAnonymous counts the sidecars of ours beside the tokens that were given for them: what has
// none of its own works by the agent's or the anonymous one.
func proxiesAnonymous(ctx context.Context, site *Site) ([]Finding, error) {
	list, err := site.tokens(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, program := range registry.Services(site.Definition) {
		service, given := site.Prefix.Service(program), 0
		for _, token := range list {
			if policy, identity := isToken(token, service); policy || identity {
				given++
			}
		}
		running, _, err := site.Consul.Health().Connect(service, "", false, asked(ctx))
		if err != nil {
			return found, fmt.Errorf("look for the sidecars of %s in Consul's catalog: %w", service, err)
		}
		if len(running) > given && (given == 0 || site.Nomad != nil) { // without Nomad several may share one
			found = append(found, Finding{
				Level: Danger, What: fmt.Sprintf("%d sidecars of %s run, and %d tokens were given for it", len(running), service, given),
				Why: "the others are whoever the agent's default or the anonymous token is: its rights are those of all",
				Fix: "look why they get none (nomad-identity, auth-method, consul-anonymous above), and restart the job",
			})
		}
	}
	return found, nil
}
