package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

// serviceNames looks for instances of others under our names: Consul gives callers any of them.
func serviceNames(ctx context.Context, site *Site) ([]Finding, error) {
	var found []Finding
	for _, program := range registry.Services(site.Definition) {
		service := site.Prefix.Service(program)
		all, _, err := site.Consul.Catalog().Service(service, "", asked(ctx))
		if err != nil {
			return found, fmt.Errorf("look for %s in Consul's catalog: %w", service, err)
		}
		for _, instance := range all {
			whose, err := site.whose(ctx, program, instance.ServiceID)
			if err != nil {
				return found, err
			}
			if whose == "" {
				continue
			}
			found = append(found, Finding{
				Level: Danger, What: fmt.Sprintf("an instance of %s on the node %s is %s", service, instance.Node, whose),
				Why: "callers of Gatehouse's would be sent there, and an apply changes how it is called", Fix: site.otherPrefix("end it"),
			})
		}
	}
	return found, nil
}

// allocation finds Nomad's allocation in the id of a service that it has registered.
var allocation = regexp.MustCompile(`^_nomad-task-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-`)

// whose is who runs an instance, for people, and empty where it is ours.
func (s *Site) whose(ctx context.Context, program, id string) (string, error) {
	match := allocation.FindStringSubmatch(id)
	if match == nil {
		return "none of Nomad's (" + id + ")", nil
	}
	if s.Nomad == nil {
		return "", fmt.Errorf("whose the allocation %s is: %s", match[1], s.NoNomad)
	}
	a, _, err := s.Nomad.Allocations().Info(match[1], (&nomad.QueryOptions{}).WithContext(ctx))
	var answer nomad.UnexpectedResponseError
	switch {
	case errors.As(err, &answer) && answer.StatusCode() == http.StatusNotFound:
		return "of an allocation that this Nomad does not know (" + match[1] + ")", nil
	case err != nil:
		return "", fmt.Errorf("ask Nomad for the allocation %s: %w", match[1], err)
	case a.Namespace != operator.Namespace || a.JobID != program:
		return fmt.Sprintf("that of the job %s in Nomad's namespace %s", a.JobID, a.Namespace), nil
	}
	return "", nil
}

// nomadNames looks for a namespace and policies of others under our names.
func nomadNames(ctx context.Context, site *Site) ([]Finding, error) {
	foreign, err := acl.Foreign(ctx, site.Nomad)
	var found []Finding
	for _, name := range foreign {
		found = append(found, Finding{
			Level: Danger, What: fmt.Sprintf("Nomad has a %s that is not Gatehouse's (its description does not say so)", name),
			Why: "an apply stops at it, and who has rights in it has them over Gatehouse's jobs and secrets", Fix: "rename it",
		})
	}
	return found, err
}

// nomadVersion compares what runs with the floor for production (R84).
func nomadVersion(ctx context.Context, site *Site) ([]Finding, error) {
	options := (&nomad.QueryOptions{}).WithContext(ctx)
	running := map[string][]string{}
	nodes, _, err := site.Nomad.Nodes().List(options)
	if err != nil {
		return nil, fmt.Errorf("list Nomad's clients: %w", err)
	}
	for _, node := range nodes {
		running[node.Version] = append(running[node.Version], node.Name)
	}
	members, err := site.Nomad.Agent().MembersOpts(options)
	if err != nil {
		return nil, fmt.Errorf("list Nomad's servers: %w", err)
	}
	for _, m := range members.Members {
		if version := m.Tags["build"]; !slices.Contains(running[version], m.Name) {
			running[version] = append(running[version], m.Name)
		}
	}
	return below("nomad", running)
}

// nomadToken is about the rights of the given token.
func nomadToken(ctx context.Context, site *Site) ([]Finding, error) {
	self, _, err := site.Nomad.ACLTokens().Self((&nomad.QueryOptions{}).WithContext(ctx))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the given token of Nomad: %w: set NOMAD_TOKEN to one that it knows", err)
	case self.Type != "management":
		return []Finding{{
			Level: Warning, What: fmt.Sprintf("the token in NOMAD_TOKEN has the policies %s and is none for management", few(self.Policies)),
			Why: "it may be enough for jobs and secrets, and an apply cannot make the namespace and the policies with it", Fix: "apply with a management token that expires (nomad acl token create -type management -ttl 1h)",
		}}, nil
	case strings.HasPrefix(self.Name, "Bootstrap Token"):
		return []Finding{{
			Level: Warning, What: "NOMAD_TOKEN is Nomad's first token", Why: "it may do everything, never ends and is nobody's",
			Fix: "make tokens of their own for operators and for Terraform, that expire (nomad acl token create -type management -ttl 1h), and delete it",
		}}, nil
	}
	return nil, nil
}

// isToken reports whether a token is for one of our services, by a policy of ours or by an identity.
func isToken(token *api.ACLTokenListEntry, service string) (policy, identity bool) {
	for _, link := range token.Policies {
		policy = policy || link.Name == service
	}
	for _, one := range token.ServiceIdentities {
		identity = identity || identityOf(one.ServiceName, service)
	}
	return policy, identity
}
