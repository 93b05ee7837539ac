package host_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"Consul v1.22.0\nBuild Date 1970-01-01":                                                      "1.22.0",
		"/x/envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL": "1.40.0",
		"Consul v2.1.0+ent": "2.1.0",
	} {
		if got, err := host.ParseVersion(text); err != nil || got.String() != want {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	if _, err := host.ParseVersion("dev"); err == nil {
		t.Error("a text without a version: no error")
	}
}

// R84: the floor for production.
func TestBelow(t *testing.T) {
	for _, c := range []struct {
		program, version string
		below            bool
	}{
		{"consul", "1.22.0", true}, {"consul", "2.0.9", true}, {"consul", "2.1.0", false}, {"consul", "3.0.0", false},
		{"envoy", "1.35.9", true}, {"envoy", "1.36.9", true}, {"envoy", "1.36.10", false}, {"envoy", "1.38.3", true},
		{"envoy", "1.39.0", true}, {"envoy", "1.39.1", false}, {"envoy", "1.40.0", false}, {"envoy", "2.0.0", false},
		{"nomad", "1.11.3", true}, {"nomad", "2.0.3", true}, {"nomad", "2.0.4", false}, {"nomad", "2.1.0", false},
		{"unheard-of", "0.0.1", false},
	} {
		v, err := host.ParseVersion(c.version)
		if err != nil {
			t.Fatal(err)
		}
		warning, err := host.Below(c.program, v)
		if err != nil || (warning != "") != c.below {
			t.Errorf("%s %s: %q, %v, want below: %v", c.program, c.version, warning, err, c.below)
		}
		if c.below && !strings.Contains(warning, c.version) {
			t.Errorf("the warning does not name the version: %s", warning)
		}
	}
}
