package doctor

import (
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/hcl"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// grant is what a policy of Consul gives of services.
type grant struct {
	everything bool // who writes ACLs gives itself what it likes
	services   byName
	intentions byName
}

// byName is the policy of each name, and of all that begin with something.
type byName struct{ exact, prefixed map[string]string }

// readGrant reads the rules of a policy.
func readGrant(rules string) (grant, error) {
	var said map[string]any
	if err := hcl.Decode(&said, rules); err != nil {
		return grant{}, fmt.Errorf("read the rules of a policy: %w", err)
	}
	return grant{
		everything: said["acl"] == "write", services: read(said, "policy"), intentions: read(said, "intentions"),
	}, nil
}

func read(said map[string]any, field string) byName {
	return byName{exact: policies(said["service"], field), prefixed: policies(said["service_prefix"], field)}
}

// policies are a field of the blocks of one resource, by their labels.
func policies(value any, name string) map[string]string {
	all := map[string]string{}
	blocks, _ := value.([]map[string]any)
	for _, block := range blocks {
		for label, body := range block {
			fields, _ := body.([]map[string]any)
			for _, field := range fields {
				if policy, ok := field[name].(string); ok {
					all[label] = policy
				}
			}
		}
	}
	return all
}

// writes reports whether who has the policy can be the service.
func (g grant) writes(service string) bool { return g.everything || g.services.of(service) == "write" }

// decides reports whether who has the policy may write the service's config entries and who calls it.
func (g grant) decides(service string) bool {
	return g.services.of(service) == "write" && g.intentions.of(service) == "write"
}

// of is the policy of a name. The longest one decides.
func (b byName) of(name string) string {
	if policy, ok := b.exact[name]; ok {
		return policy
	}
	longest, found := "", ""
	for prefix, policy := range b.prefixed {
		if strings.HasPrefix(name, prefix) && (found == "" || len(prefix) > len(longest)) {
			longest, found = prefix, policy
		}
	}
	return found
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
