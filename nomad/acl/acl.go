// Package acl has what Nomad must know before Gatehouse's jobs run: their namespace, and the policies
// of who rolls and who operates them. Terraform and `nomad` read the same files.
package acl

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

//go:embed namespace.json *.policy.hcl
var files embed.FS

// ours begins the description of what we write.
const ours = "Gatehouse: "

// Apply brings the namespace and the policies to Nomad. What has the same name and is not ours is
// left alone, and an error.
func Apply(ctx context.Context, client *api.Client) error {
	namespace, policies, err := Wanted()
	if err != nil {
		return err
	}
	foreign, err := Foreign(ctx, client)
	if err != nil {
		return err
	}
	if len(foreign) > 0 {
		return fmt.Errorf("Nomad has a %s that is not Gatehouse's (its description does not begin with %q): rename it, or give it that description", foreign[0], ours)
	}
	if _, err := client.Namespaces().Register(namespace, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("write the namespace %s: %w", namespace.Name, err)
	}
	for _, policy := range policies {
		if _, err := client.ACLPolicies().Upsert(policy, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
			return fmt.Errorf("write the policy %s: %w", policy.Name, err)
		}
	}
	return nil
}

// Foreign are the namespace and the policies of our names that somebody else has made, such as
// "policy gatehouse-ci".
func Foreign(ctx context.Context, client *api.Client) ([]string, error) {
	namespace, policies, err := Wanted()
	if err != nil {
		return nil, err
	}
	var foreign []string
	namespaces, _, err := client.Namespaces().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Nomad's namespaces: %w", err)
	}
	for _, there := range namespaces {
		if there.Name == namespace.Name && !strings.HasPrefix(there.Description, ours) {
			foreign = append(foreign, "namespace "+there.Name)
		}
	}
	list, _, err := client.ACLPolicies().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("list Nomad's policies: %w", err)
	}
	for _, there := range list {
		named := slices.ContainsFunc(policies, func(p *api.ACLPolicy) bool { return p.Name == there.Name })
		if named && !strings.HasPrefix(there.Description, ours) {
			foreign = append(foreign, "policy "+there.Name)
		}
	}
	return foreign, nil
}

// Wanted are the namespace and the policies as the files have them.
func Wanted() (*api.Namespace, []*api.ACLPolicy, error) {
	text, err := files.ReadFile("namespace.json")
	if err != nil {
		return nil, nil, err
	}
	var namespace api.Namespace
	if err := json.Unmarshal(text, &namespace); err != nil {
		return nil, nil, fmt.Errorf("read namespace.json: %w", err)
	}
	names, err := fs.Glob(files, "*.policy.hcl")
	if err != nil {
		return nil, nil, err
	}
	var policies []*api.ACLPolicy
	for _, name := range names {
		rules, err := files.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		role := strings.TrimSuffix(name, ".policy.hcl")
		policies = append(policies, &api.ACLPolicy{Name: "gatehouse-" + role, Description: ours + role, Rules: string(rules)})
	}
	return &namespace, policies, nil
}
