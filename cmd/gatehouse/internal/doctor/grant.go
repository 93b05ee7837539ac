package doctor

import (
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/hcl"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// grant is what a policy of Consul gives of services: the policy of each by its name, or by what its
// name begins with.
type grant struct {
	everything      bool // who writes ACLs gives itself what it likes
	exact, prefixed map[string]string
}

// readGrant reads the rules of a policy.
func readGrant(rules string) (grant, error) {
	var said map[string]any
	if err := hcl.Decode(&said, rules); err != nil {
		return grant{}, fmt.Errorf("read the rules of a policy: %w", err)
	}
	return grant{everything: said["acl"] == "write", exact: policies(said["service"]), prefixed: policies(said["service_prefix"])}, nil
}

// policies are those of the blocks of one resource, by their labels.
func policies(value any) map[string]string {
	all := map[string]string{}
	blocks, _ := value.([]map[string]any)
	for _, block := range blocks {
		for label, body := range block {
			fields, _ := body.([]map[string]any)
			for _, field := range fields {
				if policy, ok := field["policy"].(string); ok {
					all[label] = policy
				}
			}
		}
	}
	return all
}

// writes reports whether who has the policy can be the service. The longest name decides.
func (g grant) writes(service string) bool {
	if g.everything {
		return true
	}
	if policy, ok := g.exact[service]; ok {
		return policy == "write"
	}
	longest, found := "", ""
	for prefix, policy := range g.prefixed {
		if strings.HasPrefix(service, prefix) && (found == "" || len(prefix) > len(longest)) {
			longest, found = prefix, policy
		}
	}
	return found == "write"
}

// identityOf reports whether an identity by that name can be the service: it can be its own sidecar.
func identityOf(name, service string) bool {
	return name == service || registry.SidecarID(name) == service
}

// templateWrites reports whether one of Consul's own templated policies makes who has it the service.
func templateWrites(template, name, service string) bool {
	switch template {
	case "builtin/service", "builtin/api-gateway":
		return identityOf(name, service)
	case "builtin/nomad-client": // it takes out whatever has ended
		return true
	default:
		return false
	}
}

// acls are the policies and roles of a Consul.
type acls struct {
	policies map[string]grant // by name
	roles    []*api.ACLRole
}

// roleWrites reports whether who has the role can be the service.
func (a acls) roleWrites(role *api.ACLRole, service string) bool {
	for _, link := range role.Policies {
		if a.policies[link.Name].writes(service) {
			return true
		}
	}
	for _, identity := range role.ServiceIdentities {
		if identityOf(identity.ServiceName, service) {
			return true
		}
	}
	for _, templated := range role.TemplatedPolicies {
		name := ""
		if templated.TemplateVariables != nil {
			name = templated.TemplateVariables.Name
		}
		if templateWrites(templated.TemplateName, name, service) {
			return true
		}
	}
	return false
}
