package platform

import (
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// The agent of one machine is the platform's alone: what a version has left there that did not say
// whose its entries are is replaced, and with another prefix nothing of the one before stays.
func TestEntriesOfEarlierVersionsAndPrefixes(t *testing.T) {
	server := consultest.New(t)
	p := testPlatform(t)
	p.consul = server.Client
	for _, entry := range registry.ConfigEntries(p.opts.Definition, "") {
		switch e := entry.(type) {
		case *api.ServiceConfigEntry:
			e.Meta = nil
		case *api.ServiceResolverConfigEntry:
			e.Meta = nil
		case *api.ServiceIntentionsConfigEntry:
			e.Meta = nil
		}
		check.Within(t, 20*time.Second, "an entry without Meta", func() error { // a Consul that has just started refuses intentions
			_, _, err := server.ConfigEntries().Set(entry, nil)
			return err
		})
	}
	for _, prefix := range []string{"", "gatehouse-", "other-", ""} {
		p.opts.Prefix = request.ServicePrefix(prefix)
		check.NoError(t, p.writeEntries(t.Context()))
		held := 0
		for _, kind := range []string{api.ServiceDefaults, api.ServiceResolver, api.ServiceIntentions} {
			all, _, err := server.ConfigEntries().List(kind, nil)
			check.NoError(t, err)
			for _, entry := range all {
				name, ours := p.opts.Prefix.Program(entry.GetName())
				if !registry.IsManaged(entry) || !ours || strings.Contains(name, "-") {
					t.Errorf("with the prefix %q there is a %s of %s with Meta %v", prefix, kind, entry.GetName(), entry.GetMeta())
				}
			}
			held += len(all)
		}
		if want := len(registry.ConfigEntries(p.opts.Definition, "")); held != want {
			t.Errorf("with the prefix %q there are %d entries, want %d", prefix, held, want)
		}
	}
}

// With another prefix every service has a policy and its token that one, and nothing of the one
// before stays. What the operator has made besides does.
func TestPoliciesOfEarlierPrefixes(t *testing.T) {
	server := consultest.NewOneMachine(t)
	p := testPlatform(t)
	_, text, err := net.SplitHostPort(server.HTTPS)
	check.NoError(t, err)
	port, err := strconv.Atoi(text)
	check.NoError(t, err)
	p.consul, p.opts.Offset = server.Client, port-mesh.ConsulHTTPSPort
	for name, content := range map[string]string{ConsulCA: server.CAFile, ConsulClientCert: server.CertFile, ConsulClientKey: server.KeyFile} {
		raw, err := os.ReadFile(content)
		check.NoError(t, err)
		check.NoError(t, p.opts.Dir.WriteSecret(name, string(raw)))
	}
	_, _, err = server.ACL().PolicyCreate(&api.ACLPolicy{Name: "operators", Description: "Gatehouse: services of mine"}, nil)
	check.NoError(t, err)
	for _, prefix := range []request.ServicePrefix{"", "gatehouse-", ""} {
		p.opts.Prefix = prefix
		check.NoError(t, p.writeTokens(t.Context()))
		want := []string{"operators"}
		for _, name := range p.services() {
			want = append(want, prefix.Service(name))
		}
		var got []string
		policies, _, err := server.ACL().PolicyList(nil)
		check.NoError(t, err)
		for _, policy := range policies {
			if strings.HasPrefix(policy.Description, "Gatehouse: ") {
				got = append(got, policy.Name)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("with the prefix %q the policies are %v, want %v", prefix, got, want)
		}
	}
}
