package cli_test

import (
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/auditlog/auditlogtest"
)

func TestAuditWitness(t *testing.T) {
	folder, key := t.TempDir(), auditlogtest.LogKey(t, logOrigin)
	code, out, problem := run(t, nil, "audit", "witness", "--state", folder, "--new-key", "witness.example.org")
	if code != 0 || problem != "" || !strings.HasPrefix(out, "witness.example.org+") {
		t.Fatalf("%d %q %q", code, out, problem)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a second key":       {[]string{"--state", folder, "--new-key", "witness.example.org"}, "has a key already"},
		"an impossible name": {[]string{"--state", t.TempDir(), "--new-key", "a b"}, "without spaces"},
		"no log":             {[]string{"--state", folder}, "--log"},
		"a key that is none": {[]string{"--state", folder, "--log", "x"}, "is none"},
		"no folder":          {[]string{"--log", key.Text}, "--state"},
		"no key":             {[]string{"--state", t.TempDir(), "--log", key.Text}, "--new-key"},
		"no address":         {[]string{"--state", folder, "--log", key.Text, "--listen", "nowhere:x"}, "--listen"},
	} {
		code, out, problem := run(t, nil, append([]string{"audit", "witness"}, c.args...)...)
		if code != 1 || out != "" || !strings.Contains(problem, c.want) || strings.Count(problem, "\n") != 1 {
			t.Errorf("%s: %d %q %q, want %q", name, code, out, problem, c.want)
		}
	}
}
