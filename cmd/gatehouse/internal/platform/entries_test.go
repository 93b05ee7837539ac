package platform

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

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
