package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// WritePolicies brings the policy of every service to Consul. One of that name that is not ours is
// left alone, and an error. Ours of services that there are no more go; those with another prefix
// are another installation's.
func WritePolicies(ctx context.Context, client *api.Client, d *mesh.Definition, prefix request.ServicePrefix) error {
	services := Services(d)
	for _, name := range services {
		if err := writePolicy(ctx, client, ServicePolicy(d, name, prefix)); err != nil {
			return err
		}
	}
	return DeletePolicies(ctx, client, func(program, service string) bool {
		return service == prefix.Service(program) && !slices.Contains(services, program)
	})
}

// DeletePolicies takes away those of the policies that we wrote, for whichever prefix, that are
// stale by the program that they are for and the name of its service.
func DeletePolicies(ctx context.Context, client *api.Client, stale func(program, service string) bool) error {
	all, _, err := client.ACL().PolicyList((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list Consul's policies: %w", err)
	}
	for _, policy := range all {
		program, ours := strings.CutPrefix(policy.Description, oursOf)
		if !ours || !stale(program, policy.Name) {
			continue
		}
		if _, err := client.ACL().PolicyDelete(policy.ID, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("delete the policy %s: %w", policy.Name, err)
		}
	}
	return nil
}

func writePolicy(ctx context.Context, client *api.Client, want *api.ACLPolicy) error {
	there, _, err := client.ACL().PolicyReadByName(want.Name, (&api.QueryOptions{}).WithContext(ctx))
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		err = nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("read the policy %s: %w", want.Name, err)
	case there == nil:
		_, _, err = client.ACL().PolicyCreate(want, (&api.WriteOptions{}).WithContext(ctx))
	case there.Description != want.Description:
		return fmt.Errorf("Consul has a policy %s that is not Gatehouse's: give Gatehouse's services a prefix of their own with GATEHOUSE_MESH_SERVICE_PREFIX, or delete that policy", want.Name)
	case there.Rules != want.Rules:
		want.ID = there.ID
		_, _, err = client.ACL().PolicyUpdate(want, (&api.WriteOptions{}).WithContext(ctx))
	}
	if err != nil {
		return fmt.Errorf("write the policy %s: %w", want.Name, err)
	}
	return nil
}

// WriteLogin brings to Consul the method by which Nomad's workloads log in, and the binding rule of
// every service. A method and rules of others stay as they are, those of an installation with
// another prefix too; ours of services that there are no more go.
func WriteLogin(ctx context.Context, client *api.Client, d *mesh.Definition, prefix request.ServicePrefix, method *api.ACLAuthMethod) error {
	if err := writeMethod(ctx, client, method); err != nil {
		return err
	}
	there, _, err := client.ACL().BindingRuleList(method.Name, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list the binding rules of %s: %w", method.Name, err)
	}
	missing := map[string]*api.ACLBindingRule{} // by selector, which says it all but for the policy
	for _, name := range Services(d) {
		rule := BindingRule(name, prefix)
		missing[rule.Selector] = rule
	}
	var stale []*api.ACLBindingRule
	for _, rule := range there {
		program, ours := strings.CutPrefix(rule.Description, oursOf)
		switch want, ok := missing[rule.Selector]; {
		case ok && rule.BindType == want.BindType && rule.BindName == want.BindName:
			delete(missing, rule.Selector)
		case ours && rule.BindName == prefix.Service(program):
			stale = append(stale, rule)
		}
	}
	for _, rule := range missing { // before the stale ones go: workloads log in meanwhile
		if _, _, err := client.ACL().BindingRuleCreate(rule, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("write the binding rule of %s: %w", rule.BindName, err)
		}
	}
	for _, rule := range stale {
		if _, err := client.ACL().BindingRuleDelete(rule.ID, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("delete the binding rule of %s: %w", rule.BindName, err)
		}
	}
	return nil
}

func writeMethod(ctx context.Context, client *api.Client, want *api.ACLAuthMethod) error {
	there, _, err := client.ACL().AuthMethodRead(want.Name, (&api.QueryOptions{}).WithContext(ctx))
	if status := (api.StatusError{}); errors.As(err, &status) && status.Code == http.StatusNotFound {
		there, err = nil, nil
	}
	switch {
	case err != nil:
		return fmt.Errorf("read the auth method %s: %w", want.Name, err)
	case there == nil:
		_, _, err = client.ACL().AuthMethodCreate(want, (&api.WriteOptions{}).WithContext(ctx))
	case there.MaxTokenTTL != 0:
		return fmt.Errorf("the auth method %s has MaxTokenTTL %s, and sidecars end with their tokens: set it to 0", want.Name, there.MaxTokenTTL)
	case strings.HasPrefix(there.Description, ours):
		_, _, err = client.ACL().AuthMethodUpdate(want, (&api.WriteOptions{}).WithContext(ctx))
	}
	if err != nil {
		return fmt.Errorf("write the auth method %s: %w", want.Name, err)
	}
	return nil
}
