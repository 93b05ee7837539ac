package doctor_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

// A service of somebody else under one of our names, run by Nomad or not.
func TestAForeignService(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	site.NoNomad = "no NOMAD_ADDR"
	register := func(name, id string) {
		check.NoError(t, o.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: name, ID: id, Port: 1}))
	}
	register("postgres", "postgres")
	wants(t, site, "service-names", doctor.OK)
	register("gatehouse-authz", "_nomad-task-11111111-2222-3333-4444-555555555555-group-authz-gatehouse-authz-8083")
	check.Within(t, syncWithin, "the catalog has it", synced(o, "gatehouse-authz"))
	wants(t, site, "service-names", doctor.Untried, "no NOMAD_ADDR")
	site.Nomad = nomadtest.New(t).Client
	wants(t, site, "service-names", doctor.Danger, "gatehouse-authz", "an allocation that this Nomad does not know")
	register("gatehouse-postgres", "db-1")
	check.Within(t, syncWithin, "the catalog has it", synced(o, "gatehouse-postgres"))
	all := found(t, site, "service-names")
	if len(all) != 2 || all[1].Level != doctor.Danger || !strings.Contains(all[1].What, "none of Nomad's (db-1)") || !strings.Contains(all[1].Fix, "another prefix") {
		t.Errorf("%+v", all)
	}
}

func TestAForeignPolicy(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	check.NoError(t, registry.WritePolicies(t.Context(), o.Client, site.Definition, "other-"))
	wants(t, site, "acl-names", doctor.OK)
	policy(t, o, "gatehouse-audit", `node_prefix "" { policy = "read" }`)
	wants(t, site, "acl-names", doctor.Danger, "a policy gatehouse-audit")
	site.Prefix = "other-"
	wants(t, site, "acl-names", doctor.OK)
}
