package mesh_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// Whatever is scaled, no two listeners of a machine have the same port, nor those of its copies at
// other offsets; every slot of the layout counts, not only those of today.
func TestPortsOfInstancesDoNotMeet(t *testing.T) {
	const slots = 19
	def, everything := &mesh.Definition{}, mesh.Scale{}
	for slot := range slots {
		p := mesh.Program{
			Name: fmt.Sprint("p", slot), Slot: slot, Port: mesh.FirstPort + slot, OpsPort: mesh.FirstOpsPort + slot, RESTPort: mesh.FirstRESTPort + slot,
			Public: mesh.FirstPublic + slot, Admin: mesh.FirstAdmin + slot, Edge: slot == 0,
		}
		for callee := range mesh.BackingSlot + 1 {
			p.Upstreams = append(p.Upstreams, mesh.Upstream{Name: fmt.Sprint("p", callee), Port: mesh.FirstUpstream + 20*slot + callee})
		}
		def.Programs, everything[p.Name] = append(def.Programs, p), mesh.MaxInstances
	}
	taken := map[int]string{
		mesh.PostgresPort: "PostgreSQL", mesh.FirstPublic + mesh.BackingSlot: "its sidecar", mesh.FirstAdmin + mesh.BackingSlot: "its sidecar's admin",
		mesh.ConsulHTTPPort: "Consul", mesh.ConsulHTTPSPort: "Consul", mesh.ConsulXDSPort: "Consul", mesh.ConsulSerfPort: "Consul", mesh.ConsulRPCPort: "Consul",
	}
	take := func(who string, ports ...int) {
		t.Helper()
		for _, port := range ports {
			if other, again := taken[port]; again {
				t.Errorf("port %d is %s's and %s's", port, other, who)
			}
			taken[port] = who
		}
	}
	instances := def.Instances(everything)
	if len(instances) != 2*slots-1 {
		t.Errorf("%d instances of %d programs, of which one is the edge", len(instances), slots)
	}
	for _, p := range instances {
		take(p.ID(), p.Port, p.OpsPort, p.RESTPort, p.Public, p.Admin)
		for _, u := range p.Upstreams {
			take(p.ID()+" to "+u.Name, u.Port)
		}
	}
	for port, who := range taken {
		for copies := 1; copies < 12; copies++ { // from 12 on the first copies' programs meet upstreams, as they always have
			if other, again := taken[port+1000*copies]; again {
				t.Errorf("port %d of %s is that of %s in a copy %d,000 further up", port, who, other, copies)
			}
		}
	}
}

// An instance finds its own ports in its definition, and those of others where they were.
func TestADefinitionOfAnInstance(t *testing.T) {
	def := meshtest.Definition(t)
	local, err := def.Local("identity", 2)
	if err != nil {
		t.Fatal(err)
	}
	own, err := local.Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	database, err := own.Upstream(mesh.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if got := []int{own.Port, own.RESTPort, own.OpsPort, own.Public, own.Admin, database}; fmt.Sprint(got) != "[8101 8201 8521 20521 20621 8639]" {
		t.Errorf("its ports are %v", got)
	}
	first, err := def.Program("identity")
	if err != nil || first.Port != 8081 || first.Upstreams[0].Port >= mesh.FirstUpstream+40 {
		t.Errorf("the first instance has %+v, %v", first, err)
	}
	if auth, err := local.Program("auth"); err != nil || auth.Port != 8082 {
		t.Errorf("auth has %+v, %v", auth, err)
	}
	for number, want := range map[int]string{0: "identity", 1: "identity", 2: "identity-2"} {
		if i, err := def.Instance("identity", number); err != nil || i.ID() != want {
			t.Errorf("instance %d is %s, %v", number, i.ID(), err)
		}
	}
	for name, number := range map[string]int{"identity": 3, "gateway": 2, "nobody": 2} {
		if local, err := def.Local(name, number); err == nil {
			t.Errorf("%s has an instance %d: %v", name, number, local)
		}
	}
}

func TestCheckOfAScale(t *testing.T) {
	def := meshtest.Definition(t)
	def.Programs = append(def.Programs, mesh.Program{Name: "audit-2"})
	for _, c := range []struct {
		scale mesh.Scale
		want  string // "" when it is good
	}{
		{nil, ""},
		{mesh.Scale{"identity": 2, "auth": 1, "authz": 2}, ""},
		{mesh.Scale{"gateway": 1, "postgres": 1}, ""},
		{mesh.Scale{"identity": 3}, "--scale identity=3 cannot be: one machine runs 1 or 2 instances"},
		{mesh.Scale{"identity": 0}, "--scale identity=0 cannot be"},
		{mesh.Scale{"gateway": 2}, "--scale gateway=2 cannot be: gateway has the one address"},
		{mesh.Scale{"postgres": 2}, "--scale postgres=2 cannot be: postgres holds the data"},
		{mesh.Scale{"identiy": 2}, "--scale identiy=2 names no program: choose one of identity, auth"},
		{mesh.Scale{"audit": 2}, "the name of the program audit-2"},
	} {
		err := c.scale.Check(def)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%v: %v, want %q", c.scale, err, c.want)
		}
	}
}
