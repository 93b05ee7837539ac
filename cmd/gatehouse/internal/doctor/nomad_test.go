package doctor_test

import (
	"net/http"
	"testing"

	nomad "github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
	"github.com/gatehouse/gatehouse/nomad/acl"
)

// identities is what a server's configuration has to say.
const identities = `acl {
  enabled = true
}

consul {
  auto_advertise   = false
  server_auto_join = false

  service_identity {
    aud = ["consul.io"]
  }
}`

const off = "acl {\n  enabled = true\n}"

// A server without a client, without TLS and without identities: each is named.
func TestABareNomad(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	site.NoNomad = "nobody says how to reach it"
	wants(t, site, "nomad-acl", doctor.Untried, "nobody says how to reach it")
	server := nomadtest.New(t)
	site.Nomad = server.Client
	wants(t, site, "nomad-acl", doctor.OK)
	wants(t, site, "nomad-version", doctor.Warning, "nomad 1.11.3 is below the floor")
	wants(t, site, "nomad-token", doctor.Warning, "Nomad's first token")
	wants(t, site, "nomad-identity", doctor.Danger, "no identity for Consul")
	wants(t, site, "nomad-hosts", doctor.Danger, "no client")
	wants(t, site, "nomad-names", doctor.OK)
	all := found(t, site, "nomad-tls")
	if len(all) != 3 || all[0].Level != doctor.Danger {
		t.Errorf("nomad-tls: %+v", all)
	}
	_, err := server.Namespaces().Register(&nomad.Namespace{Name: "gatehouse", Description: "mine"}, nil)
	check.NoError(t, err)
	wants(t, site, "nomad-names", doctor.Danger, "namespace gatehouse")
	_, err = server.Namespaces().Delete("gatehouse", nil)
	check.NoError(t, err)
	check.NoError(t, acl.Apply(t.Context(), server.Client))
	wants(t, site, "nomad-names", doctor.OK)
	_ = o
}

func TestANomadWithIdentities(t *testing.T) {
	t.Parallel()
	_, site := newSite(t)
	server := nomadtest.New(t, off, identities)
	made, _, err := server.ACLTokens().Create(&nomad.ACLToken{Name: "terraform", Type: "management"}, nil)
	check.NoError(t, err)
	site.Nomad, err = nomad.NewClient(&nomad.Config{Address: server.Address, SecretID: made.SecretID, HttpClient: http.DefaultClient})
	check.NoError(t, err)
	wants(t, site, "nomad-identity", doctor.OK)
	wants(t, site, "nomad-token", doctor.OK)
	site.AuthMethod = "other"
	wants(t, site, "nomad-identity", doctor.Danger, "by the auth method nomad-workloads", "would be of other")
	check.NoError(t, acl.Apply(t.Context(), server.Client))
	ci, _, err := server.ACLTokens().Create(&nomad.ACLToken{Type: "client", Policies: []string{"gatehouse-operator"}}, nil)
	check.NoError(t, err)
	site.Nomad.SetSecretID(ci.SecretID)
	wants(t, site, "nomad-token", doctor.Warning, "gatehouse-operator", "management")
}

func TestANomadWithoutACLs(t *testing.T) {
	t.Parallel()
	_, site := newSite(t)
	site.Nomad = nomadtest.New(t, off, "acl {\n  enabled = false\n}").Client
	wants(t, site, "nomad-acl", doctor.Danger, "no ACLs")
}
