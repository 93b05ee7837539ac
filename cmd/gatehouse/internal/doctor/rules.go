package doctor

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/registry"
)

// bindingRules looks for rules by which a foreign job is given one of our names. That of `nomad setup
// consul` gives every job the service that it names, also beside narrower ones (R83).
func bindingRules(ctx context.Context, site *Site) ([]Finding, error) {
	rules, _, err := site.Consul.ACL().BindingRuleList("", asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Consul's binding rules: %w", err)
	}
	known, err := site.acls(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, rule := range rules {
		taken, err := known.taken(site, rule)
		if err != nil {
			return found, err
		}
		if len(taken) == 0 {
			continue
		}
		fix, err := known.mendRule(site, rule)
		if err != nil {
			return found, err
		}
		found = append(found, Finding{
			Level: Danger,
			What: fmt.Sprintf("the binding rule %s of the auth method %s (%s %q, selector %q) gives foreign jobs the rights of %s",
				rule.ID, rule.AuthMethod, rule.BindType, rule.BindName, rule.Selector, few(taken)),
			Why: "who has them gets a certificate of that service and calls as it, whatever narrower rules stand beside this one",
			Fix: fix,
		})
	}
	return found, nil
}

// policies are all of Consul's, without their rules.
func (s *Site) policies(ctx context.Context) ([]*api.ACLPolicyListEntry, error) {
	list, _, err := s.Consul.ACL().PolicyList(asked(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Consul's policies: %w", err)
	}
	return list, nil
}

// acls reads the policies and roles of Consul, and adds the policies that an apply makes.
func (s *Site) acls(ctx context.Context) (acls, error) {
	all := acls{policies: map[string]grant{}}
	texts := map[string]string{}
	for _, program := range registry.Services(s.Definition) {
		policy := registry.ServicePolicy(s.Definition, program, s.Prefix)
		texts[policy.Name] = policy.Rules
	}
	list, err := s.policies(ctx)
	if err != nil {
		return all, err
	}
	for _, entry := range list {
		policy, _, err := s.Consul.ACL().PolicyRead(entry.ID, asked(ctx))
		if err != nil {
			return all, fmt.Errorf("read Consul's policy %s: %w", entry.Name, err)
		}
		texts[policy.Name] = policy.Rules
	}
	for name, text := range texts {
		if all.policies[name], err = readGrant(text); err != nil {
			return all, fmt.Errorf("policy %s: %w", name, err)
		}
	}
	if all.roles, _, err = s.Consul.ACL().RoleList(asked(ctx)); err != nil {
		return all, fmt.Errorf("list Consul's roles: %w", err)
	}
	return all, nil
}

// taken are our services whose rights a rule gives to some foreign job, sorted.
func (a acls) taken(site *Site, rule *api.ACLBindingRule) ([]string, error) {
	taken := map[string]bool{}
	for program, service := range site.services() {
		for _, target := range []string{service, registry.SidecarID(service)} {
			for _, way := range a.ways(rule, target) {
				for _, j := range foreigners(program, way.service, way.any) {
					admitted, err := j.admits(rule.Selector)
					if err != nil {
						return nil, err
					}
					if admitted != no {
						taken[service] = true
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(taken)), nil
}

// way is how a rule can come to give a right: to a workload that names the service so, or any.
type way struct {
	service string
	any     bool
}

// ways are how a rule can come to give the rights of a service.
func (a acls) ways(rule *api.ACLBindingRule, target string) []way {
	var names []string // to which the rule may bind
	switch rule.BindType {
	case api.BindingRuleBindTypeService:
		names = append(names, target, strings.TrimSuffix(target, registry.SidecarID("")))
	case api.BindingRuleBindTypeTemplatedPolicy:
		if templateWrites(rule.BindName, "", target) {
			return []way{{any: true}}
		}
		if rule.BindVars == nil || !templateWrites(rule.BindName, target, target) {
			return nil
		}
		rule = &api.ACLBindingRule{BindType: api.BindingRuleBindTypeService, BindName: rule.BindVars.Name}
		return a.ways(rule, target)
	case api.BindingRuleBindTypeNode: // writes a node and no service
	case api.BindingRuleBindTypePolicy:
		for name, g := range a.policies {
			if g.writes(target) {
				names = append(names, name)
			}
		}
	case api.BindingRuleBindTypeRole:
		for _, role := range a.roles {
			if a.roleWrites(role, target) {
				names = append(names, role.Name)
			}
		}
	}
	var all []way
	for _, name := range names {
		if w, ok := bound(rule.BindName, name); ok {
			all = append(all, w)
		}
	}
	return all
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// serviceVariable is that of the name by which a workload of Nomad asks.
const serviceVariable = "value.nomad_service"

// bound reports whether a rule with this BindName can bind to the name, and of which workloads.
func bound(bindName, name string) (way, bool) {
	variables := variable.FindAllStringSubmatch(bindName, -1)
	parts := variable.Split(bindName, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	pattern, err := regexp.Compile("^" + strings.Join(parts, "(.*)") + "$")
	if err != nil {
		return way{any: true}, true // it cannot be read: rather one finding too many
	}
	match := pattern.FindStringSubmatch(name)
	if match == nil {
		return way{}, false
	}
	if len(variables) == 1 && strings.TrimSpace(variables[0][1]) == serviceVariable {
		return way{service: match[1]}, true
	}
	return way{any: true}, true
}

// mendRule is what closes a rule for our names and leaves it to others, where that can be.
func (a acls) mendRule(site *Site, rule *api.ACLBindingRule) (string, error) {
	closed := *rule
	closed.Selector = site.closed(rule.Selector)
	taken, err := a.taken(site, &closed)
	if err != nil || len(taken) == 0 {
		return command(&closed), err
	}
	return fmt.Sprintf("delete it if nobody needs it (`consul acl binding-rule delete -id %s`), or let it bind to something that does not write Gatehouse's services", rule.ID), nil
}

// command writes a rule. It names what stays as well: Consul's own command makes one that binds to
// something else than a service into one that does.
func command(rule *api.ACLBindingRule) string {
	text := fmt.Sprintf("consul acl binding-rule update -id %s -bind-type %s -bind-name '%s'", rule.ID, rule.BindType, rule.BindName)
	if rule.BindVars != nil {
		text += fmt.Sprintf(" -bind-vars 'name=%s'", rule.BindVars.Name)
	}
	return text + fmt.Sprintf(" -selector '%s'", rule.Selector)
}

// closed is a selector that admits no workload whose service has one of our names, in whichever case
// it writes them: Consul makes them lower case only after it has compared.
func (s *Site) closed(selector string) string {
	pattern := "^" + regexp.QuoteMeta(string(s.Prefix))
	if s.Prefix == "" {
		pattern = "^(" + strings.Join(slices.Sorted(maps.Values(s.services())), "|") + ")(" + registry.SidecarID("") + ")?$"
	}
	clause := fmt.Sprintf(`%s not matches "(?i)%s"`, serviceVariable, pattern)
	switch {
	case selector == "":
		return clause
	case strings.Contains(selector, " or "):
		return "(" + selector + ") and " + clause
	default:
		return selector + " and " + clause
	}
}

// few names the first of many.
func few(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
