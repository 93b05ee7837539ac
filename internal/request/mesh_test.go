package request

import (
	"strings"
	"testing"
)

// R94, R64: an id is compared whole.
func TestServiceOfASPIFFEID(t *testing.T) {
	m := Mesh{TrustDomain: "11111111-2222-3333-4444-555555555555.consul", Datacenter: "dc1"}
	good := "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/gateway"
	if m.SPIFFE("gateway") != good {
		t.Errorf("the id is %s", m.SPIFFE("gateway"))
	}
	if name, err := m.Program(good); err != nil || name != "gateway" {
		t.Errorf("%q, %v", name, err)
	}
	for _, id := range []string{
		"", "gateway", good + "/", good + "/x", good + "?x", strings.TrimSuffix(good, "gateway"), strings.ToUpper(good),
		strings.Replace(good, "spiffe:", "https:", 1),
		strings.Replace(good, "11111111", "21111111", 1),
		strings.Replace(good, ".consul", ".consul.example", 1),
		strings.Replace(good, "//", "//x.", 1),
		strings.Replace(good, "/ns/default", "/ap/default/ns/default", 1),
		strings.Replace(good, "/ns/default", "/ns/other", 1),
		strings.Replace(good, "dc1", "dc2", 1),
		strings.Replace(good, "dc1", "dc1.", 1),
		strings.Replace(good, "/svc/", "/agent/", 1),
		good + "," + good, "spiffe://" + strings.Repeat("a", 600),
	} {
		if name, err := m.Program(id); err == nil {
			t.Errorf("%s is %s", id, name)
		}
	}
	// So is a service that is none of the platform's, when they have a prefix.
	m.Prefix = "gatehouse-"
	ours := strings.Replace(good, "/svc/", "/svc/gatehouse-", 1)
	if name, err := m.Program(ours); err != nil || name != "gateway" || m.SPIFFE("gateway") != ours {
		t.Errorf("%q, %v; the id is %s", name, err, m.SPIFFE("gateway"))
	}
	for _, id := range []string{
		good, strings.TrimSuffix(ours, "gateway"), strings.Replace(ours, "gatehouse-", "Gatehouse-", 1), ours + "/x", ours + "," + ours,
		strings.Replace(ours, "11111111", "21111111", 1), strings.Replace(ours, "dc1", "dc2", 1), strings.Replace(ours, "/ns/default", "/ns/other", 1),
	} {
		if name, err := m.Program(id); err == nil {
			t.Errorf("%s is %s", id, name)
		}
	}
	// An id without a trust domain is nobody's, whatever the mesh is.
	if name, err := (Mesh{}).Program("spiffe:///ns/default/dc//svc/gateway"); err == nil {
		t.Errorf("nowhere's gateway is %s", name)
	}
}
