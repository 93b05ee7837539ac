// Package acl has what Nomad must know before Gatehouse's jobs run: their namespace, and the policies
// of who rolls and who operates them. Terraform and `nomad` read the same files.
package acl

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
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
	if err := applyNamespace(ctx, client); err != nil {
		return err
	}
	names, err := fs.Glob(files, "*.policy.hcl")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := applyPolicy(ctx, client, name); err != nil {
			return err
		}
	}
	return nil
}

func applyNamespace(ctx context.Context, client *api.Client) error {
	text, err := files.ReadFile("namespace.json")
	if err != nil {
		return err
	}
	var want api.Namespace
	if err := json.Unmarshal(text, &want); err != nil {
		return fmt.Errorf("read namespace.json: %w", err)
	}
	all, _, err := client.Namespaces().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list Nomad's namespaces: %w", err)
	}
	for _, there := range all {
		if there.Name == want.Name && !strings.HasPrefix(there.Description, ours) {
			return refused("namespace", want.Name)
		}
	}
	if _, err := client.Namespaces().Register(&want, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("write the namespace %s: %w", want.Name, err)
	}
	return nil
}

func applyPolicy(ctx context.Context, client *api.Client, file string) error {
	rules, err := files.ReadFile(file)
	if err != nil {
		return err
	}
	role := strings.TrimSuffix(file, ".policy.hcl")
	want := &api.ACLPolicy{Name: "gatehouse-" + role, Description: ours + role, Rules: string(rules)}
	all, _, err := client.ACLPolicies().List((&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("list Nomad's policies: %w", err)
	}
	for _, there := range all {
		if there.Name == want.Name && !strings.HasPrefix(there.Description, ours) {
			return refused("policy", want.Name)
		}
	}
	if _, err := client.ACLPolicies().Upsert(want, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("write the policy %s: %w", want.Name, err)
	}
	return nil
}

func refused(kind, name string) error {
	return fmt.Errorf("Nomad has a %s %s that is not Gatehouse's (its description does not begin with %q): rename it, or give it that description", kind, name, ours)
}
