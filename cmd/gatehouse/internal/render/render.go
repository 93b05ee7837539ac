// Package render writes what Gatehouse needs in Consul and Nomad as files for their own commands, for
// sites without Terraform: the same objects that terraform/modules make.
package render

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

// Options say for which site.
type Options struct {
	Definition *mesh.Definition
	Prefix     request.ServicePrefix
	Ingress    []string // services of the site that may call the edge through the mesh
	AuthMethod string   // by which Nomad's workloads log in to Consul
	Clients    []string // nodes whose Nomad clients get a policy
	Own        *Own     // nil where Consul and Nomad are others' too
}

// Own is what only a Consul of ours alone gets: the auth method, the entries of the whole mesh.
type Own struct {
	JWKSURL string // where Consul reads the keys of Nomad's workload identities
	JWKSCA  string // PEM; empty for the system's authorities
}

// Site is all that is written, in the order in which it must be.
type Site struct {
	AuthMethod string
	Method     *api.ACLAuthMethod // nil where the site has its own
	Files      map[string][]byte  // by path
	Entries    []Object
	Policies   []Object
	Rules      []*api.ACLBindingRule
	Namespace  Object
	Roles      []Object // policies of Nomad
}

// Object is one thing with a file of its own.
type Object struct{ Kind, Name, Description, File string }

// Of says what a site needs.
func Of(o Options) (*Site, error) {
	s := &Site{AuthMethod: o.AuthMethod, Files: map[string][]byte{}}
	for _, add := range []func(Options) error{s.addEntries, s.addACLs, s.addNomad, s.addTexts} {
		if err := add(o); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Site) addEntries(o Options) error {
	if o.Own != nil {
		for i, text := range [][]byte{consul.MeshEntry(), consul.ProxyDefaultsEntry()} {
			entry, err := api.DecodeConfigEntryFromJSON(text)
			if err != nil {
				return fmt.Errorf("read an entry of the whole mesh: %w", err)
			}
			file := fmt.Sprintf("consul/config-entries/0%d-%s.json", i, entry.GetKind())
			s.Files[file] = text
			s.Entries = append(s.Entries, Object{Kind: entry.GetKind(), Name: entry.GetName(), File: file})
		}
	}
	entries := registry.ConfigEntries(o.Definition, o.Prefix)
	registry.Admit(o.Definition, o.Prefix, entries, o.Ingress)
	for _, entry := range entries {
		text, err := registry.EncodeEntry(entry)
		if err != nil {
			return err
		}
		file := "consul/config-entries/" + registry.EntryFile(entry)
		s.Files[file] = text
		s.Entries = append(s.Entries, Object{Kind: entry.GetKind(), Name: entry.GetName(), File: file})
	}
	return nil
}

func (s *Site) addACLs(o Options) error {
	for _, name := range registry.Services(o.Definition) {
		s.addPolicy(registry.ServicePolicy(o.Definition, name, o.Prefix))
		rule := registry.BindingRule(name, o.Prefix)
		rule.AuthMethod = o.AuthMethod
		s.Rules = append(s.Rules, rule)
	}
	for _, node := range o.Clients {
		s.addPolicy(registry.NomadClientPolicy(node, o.Prefix))
	}
	if o.Own == nil {
		return nil
	}
	s.Method = registry.Login(o.Own.JWKSURL, o.Own.JWKSCA)
	s.Method.Name = o.AuthMethod
	text, err := json.MarshalIndent(s.Method.Config, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the auth method: %w", err)
	}
	s.Files["consul/acl/auth-method-config.json"] = append(text, '\n')
	return nil
}

func (s *Site) addPolicy(policy *api.ACLPolicy) {
	file := "consul/acl/policies/" + policy.Name + ".hcl"
	s.Files[file] = []byte(policy.Rules)
	s.Policies = append(s.Policies, Object{Name: policy.Name, Description: policy.Description, File: file})
}

func (s *Site) addNomad(Options) error {
	namespace, policies, err := acl.Wanted()
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(map[string]any{
		"Name": namespace.Name, "Description": namespace.Description, "Meta": namespace.Meta, "Capabilities": namespace.Capabilities,
	}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the namespace: %w", err)
	}
	s.Namespace = Object{Name: namespace.Name, File: "nomad/acl/namespace.json"}
	s.Files[s.Namespace.File] = append(text, '\n')
	for _, policy := range policies {
		file := "nomad/acl/" + policy.Name + ".policy.hcl"
		s.Files[file] = []byte(policy.Rules)
		s.Roles = append(s.Roles, Object{Name: policy.Name, Description: policy.Description, File: file})
	}
	return nil
}
