package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/request"
)

// WritePolicies brings the policy of every service to Consul. One of that name that is not ours is
// left alone, and an error.
func WritePolicies(ctx context.Context, client *api.Client, d *mesh.Definition, prefix request.ServicePrefix) error {
	for _, name := range Services(d) {
		if err := writePolicy(ctx, client, ServicePolicy(d, name, prefix)); err != nil {
			return err
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
	case !strings.HasPrefix(there.Description, ours):
		return fmt.Errorf("Consul has a policy %s that is not Gatehouse's: give Gatehouse's services a prefix of their own with GATEHOUSE_MESH_SERVICE_PREFIX, or delete that policy", want.Name)
	case there.Rules != want.Rules || there.Description != want.Description:
		want.ID = there.ID
		_, _, err = client.ACL().PolicyUpdate(want, (&api.WriteOptions{}).WithContext(ctx))
	}
	if err != nil {
		return fmt.Errorf("write the policy %s: %w", want.Name, err)
	}
	return nil
}

// WriteLogin brings to Consul the method by which Nomad's workloads log in, and the binding rule of
// every service. A method and rules of others stay as they are; ours of services that there are
// no more go.
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
	for _, rule := range there {
		want, ok := missing[rule.Selector]
		switch {
		case ok && rule.BindType == want.BindType && rule.BindName == want.BindName:
			delete(missing, rule.Selector)
		case strings.HasPrefix(rule.Description, ours):
			if _, err := client.ACL().BindingRuleDelete(rule.ID, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
				return fmt.Errorf("delete the binding rule of %s: %w", rule.BindName, err)
			}
		}
	}
	for _, rule := range missing {
		if _, _, err := client.ACL().BindingRuleCreate(rule, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("write the binding rule of %s: %w", rule.BindName, err)
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
