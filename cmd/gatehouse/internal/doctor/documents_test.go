package doctor_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

var row = regexp.MustCompile("(?m)^\\| `([a-z]+-[a-z-]+)` \\|")

// Operators and their scripts know the questions by their ids: docs/operations/doctor.md has them
// all. What cannot be asked is not passed.
func TestIDsAreDocumented(t *testing.T) {
	t.Parallel()
	nobody, err := api.NewClient(&api.Config{Address: "127.0.0.1:1"})
	check.NoError(t, err)
	report, err := doctor.Examine(t.Context(), &doctor.Site{
		Consul: nobody, Anonymous: nobody, NoNomad: "no Nomad", Definition: meshtest.Definition(t), Prefix: prefix, AuthMethod: registry.AuthMethod,
	})
	check.NoError(t, err)
	var ids, documented []string
	for _, f := range report.Findings {
		ids = append(ids, f.ID)
		if f.ID != "service-prefix" && f.Level != doctor.Untried || f.What == "" {
			t.Errorf("%+v, and nobody answers", f)
		}
	}
	text, err := os.ReadFile("../../../../docs/operations/doctor.md")
	check.NoError(t, err)
	for _, found := range row.FindAllStringSubmatch(string(text), -1) {
		documented = append(documented, found[1])
	}
	if d := cmp.Diff(documented, slices.Compact(ids)); d != "" {
		t.Errorf("docs/operations/doctor.md has other questions (-documented +asked):\n%s", d)
	}
}
