package request

import (
	"strings"
	"testing"
)

func TestServicesAndPrograms(t *testing.T) {
	for _, c := range []struct {
		prefix        ServicePrefix
		service, name string
		ours          bool
	}{
		{"", "identity", "identity", true},
		{"gatehouse-", "gatehouse-identity", "identity", true},
		{"gatehouse-", "gatehouse-gatehouse-identity", "gatehouse-identity", true},
		{"gatehouse-", "identity", "", false},
		{"gatehouse-", "gatehouse-", "", false},
		{"gatehouse-", "gatehouse", "", false},
		{"gatehouse-", "Gatehouse-identity", "", false},
		{"", "", "", false},
	} {
		name, ours := c.prefix.Program(c.service)
		if ours != c.ours || ours && name != c.name {
			t.Errorf("%q of %q is %q, %t", c.service, c.prefix, name, ours)
		}
		if c.ours && c.prefix.Service(c.name) != c.service {
			t.Errorf("%q of %q is the service %q", c.name, c.prefix, c.prefix.Service(c.name))
		}
	}
}

// What goes before a name of any length leaves a DNS label.
func TestCheckOfAPrefix(t *testing.T) {
	for prefix, ok := range map[ServicePrefix]bool{
		"": true, "gatehouse-": true, "g-": true, "4-": true, "staging-gatehouse-": true, ServicePrefix(strings.Repeat("a", 22) + "-"): true,
		"-": false, "-a-": false, "gatehouse": false, "Gatehouse-": false, "gate_house-": false, "gate.house-": false, "gatehouse- ": false, "gätehouse-": false,
		"gatehouse-\n": false, ServicePrefix(strings.Repeat("a", 23) + "-"): false,
	} {
		err := prefix.Check()
		if (err == nil) != ok {
			t.Errorf("%q: %v", prefix, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "GATEHOUSE_MESH_SERVICE_PREFIX") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: %v is not one sentence that names the variable", prefix, err)
		}
	}
}
