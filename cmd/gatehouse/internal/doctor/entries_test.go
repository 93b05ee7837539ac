package doctor_test

import (
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

// Somebody else's postgres is in the way of ours without a prefix, and in nobody's with one.
func TestAForeignEntry(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	_, _, err := o.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "postgres", Protocol: "http"}, nil)
	check.NoError(t, err)
	wants(t, site, "entries-foreign", doctor.OK)
	wants(t, site, "service-prefix", doctor.OK)
	site.Prefix, site.Entries = "", registry.ConfigEntries(site.Definition, "")
	wants(t, site, "entries-foreign", doctor.Danger, "service-defaults/postgres", "--prefix gatehouse-")
	wants(t, site, "service-prefix", doctor.Warning, "no prefix", "--prefix gatehouse-")
	site.Alone = true
	for _, id := range []string{"entries-foreign", "service-prefix", "nomad-acl", "binding-rules"} {
		if all := found(t, site, id); len(all) != 0 {
			t.Errorf("where nobody else is: %+v", all)
		}
	}
	wants(t, site, "consul-acl", doctor.OK)
}
