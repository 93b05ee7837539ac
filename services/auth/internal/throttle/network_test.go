package throttle_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/services/auth/internal/throttle"
)

// One person has a whole /64.
func TestNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"addresses":    {"192.0.2.1", "192.0.2.2", false},
		"mapped":       {"192.0.2.1", "::ffff:192.0.2.1", true},
		"one /64":      {"2001:db8::1", "2001:db8::ffff:1", true},
		"another /64":  {"2001:db8::1", "2001:db8:0:1::1", false},
		"a zone":       {"fe80::1%eth0", "fe80::1", true},
		"no addresses": {"", "unknown", true},
		"one and none": {"", "192.0.2.1", false},
	} {
		if got := throttle.Network(c.a) == throttle.Network(c.b); got != c.same {
			t.Errorf("%s: %q and %q", name, throttle.Network(c.a), throttle.Network(c.b))
		}
	}
}
