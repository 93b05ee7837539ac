package doctor_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// The agent of one machine is as an agent should be, but for its version.
func TestAnAgentAsItShouldBe(t *testing.T) {
	t.Parallel()
	_, site := newSite(t)
	for _, id := range []string{"consul-acl", "consul-tls", "consul-connect", "consul-anonymous", "consul-leaf"} {
		wants(t, site, id, doctor.OK)
	}
	wants(t, site, "consul-version", doctor.Warning, "consul 1.22.0 is below the floor", "gatehouse", "CVE")
	wants(t, site, "envoy-version", doctor.Warning, "1.35.", "mesh verify")
	wants(t, site, "consul-token", doctor.Warning, "Initial Management Token")
}

// Each way of opening an agent is named, and nothing else of it is.
func TestOpenAgents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes []string
		id      string
		level   doctor.Level
		texts   []string
	}{
		"ACLs allow": {
			[]string{`default_policy           = "deny"`, `default_policy           = "allow"`}, "consul-acl", doctor.Danger, []string{`is "allow"`},
		},
		"RPC of strangers": {
			[]string{"verify_outgoing = true", "verify_outgoing = false", "verify_server_hostname = true", "verify_server_hostname = false"},
			"consul-tls", doctor.Danger, []string{"internal_rpc"},
		},
		"HTTPS without certificates": {
			[]string{"  grpc {\n", "  https {\n    verify_incoming = false\n  }\n  grpc {\n"}, "consul-tls", doctor.Warning, []string{"HTTPS API for no certificate"},
		},
		"intentions allow": {
			[]string{`default_intention_policy = "deny"`, `default_intention_policy = "allow"`}, "consul-connect", doctor.Danger, []string{`is "allow"`},
		},
		"no word of intentions": {
			[]string{`default_intention_policy = "deny"`, ""}, "consul-connect", doctor.OK, nil,
		},
		"gossip in clear": {
			[]string{"encrypt = ", "# encrypt = "}, "consul-tls", doctor.Danger, []string{"gossips in clear"},
		},
		"leaves": {
			[]string{`block_endpoints = ["/v1/agent/connect/ca/leaf"]`, ""}, "consul-leaf", doctor.Warning, []string{"does not block"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, site := newSite(t, c.changes...)
			site.Alone = true
			wants(t, site, c.id, c.level, c.texts...)
			report, err := doctor.Examine(t.Context(), site)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range report.Findings {
				if f.Level != doctor.OK && f.ID != c.id && !strings.HasSuffix(f.ID, "-version") {
					t.Errorf("also %+v", f)
				}
			}
		})
	}
}

// A Consul as it comes: without ACLs, TLS and gossip key.
func TestABareConsul(t *testing.T) {
	server := consultest.New(t)
	site := &doctor.Site{
		Name: "the site", Consul: server.Client, Anonymous: server.Client, NoNomad: "no NOMAD_ADDR", Definition: meshtest.Definition(t), Prefix: prefix,
		AuthMethod: registry.AuthMethod,
	}
	wants(t, site, "consul-acl", doctor.Danger, "has no ACLs")
	wants(t, site, "consul-connect", doctor.Danger, `default intention policy`, `"allow"`)
	wants(t, site, "consul-anonymous", doctor.Untried, "ACL support disabled")
	said := ""
	for _, f := range found(t, site, "consul-tls") {
		said += f.What + "\n"
	}
	for _, want := range []string{"does not ask servers who they are", "takes RPC from who shows no certificate", "answers in plain HTTP on port", "asks who uses its HTTPS API for no certificate", "gossips in clear"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
}
