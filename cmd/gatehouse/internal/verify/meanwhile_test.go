package verify

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// rolled is a cluster on which a roll ends one instance and starts another after the questions.
type rolled struct {
	*Cluster

	roll func()
}

func (r rolled) look(ctx context.Context, def *mesh.Definition, g *ground) ([]string, map[string][]string, error) {
	r.roll()
	return r.Cluster.look(ctx, def, g)
}

// In a roll an instance that has ended answers nothing: that is not wrong, and what it was asked was
// not tried. Neither was what it is replaced by.
func TestInstancesThatEndAreNotTried(t *testing.T) {
	c, o, def := clusterOf(t)
	report, err := Run(t.Context(), rolled{c, func() {
		_, err := o.Catalog().Deregister(&api.CatalogDeregistration{Node: "gatehouse", ServiceID: allocated("a", "shop") + "-sidecar-proxy"}, nil)
		check.NoError(t, err)
		register(t, o, allocated("c", "shop"), "shop", 5, api.HealthPassing)
		awaitCatalog(t, o, "x-shop", 3) // b, c, and the one that is ill
	}}, def)
	check.NoError(t, err)
	if wrong := strings.Join(report.Wrong, "\n"); strings.Contains(wrong, "shop@gatehouse/aaaaaaaa") || !strings.Contains(wrong, "shop@gatehouse/bbbbbbbb") {
		t.Errorf("wrong are:\n%s", wrong)
	}
	untried := strings.Join(report.Untried, "\n")
	for _, want := range []string{"questions to shop@gatehouse/aaaaaaaa or by it: it has ended meanwhile", "cccccccc on gatehouse: it was not there yet"} {
		if !strings.Contains(untried, want) {
			t.Errorf("untried are, without %q:\n%s", want, untried)
		}
	}
	for _, result := range report.Results {
		if slices.Contains(result.needs, "shop@gatehouse/aaaaaaaa") {
			t.Errorf("an answer of the one that ended is left: %s", result.sentence())
		}
	}
}

// awaitCatalog waits until Consul's servers know of that many sidecars of a service.
func awaitCatalog(t *testing.T, o *consultest.OneMachine, service string, instances int) {
	t.Helper()
	check.Eventually(t, "the catalog follows the agent", func() bool {
		found, _, err := o.Health().Connect(service, "", false, nil)
		return err == nil && len(found) == instances
	})
}

// Answers that an instance which has ended has to do with are neither right nor wrong, but what was
// let through in spite of the definition is wrong all the same.
func TestAnswersOfWhoHasEnded(t *testing.T) {
	g := &ground{callees: []instance{{program: "shop", name: "shop@a"}, {program: "shop", name: "shop@b"}}}
	for name, c := range map[string]struct {
		result Result
		stays  bool
	}{
		"refused by nobody":                 {Result{Way: Stranger, Want: Refused, Got: Refused, needs: []string{"shop@a"}}, false},
		"not answered":                      {Result{Way: Public, Want: Passed, Got: Broken, needs: []string{"shop@a"}}, false},
		"let through, and should not be":    {Result{Way: Public, Want: Refused, Got: Passed, needs: []string{"shop@a"}}, true},
		"of the other":                      {Result{Way: Public, Want: Passed, Got: Broken, needs: []string{"shop@b"}}, true},
		"sent to it by a caller's sidecar":  {Result{Way: Sidecar, Callee: "shop", Want: Passed, Got: Broken, needs: []string{"gate"}}, false},
		"answered through that sidecar":     {Result{Way: Sidecar, Callee: "shop", Want: Passed, Got: Passed, needs: []string{"gate"}}, true},
		"to another program, not answered":  {Result{Way: Sidecar, Callee: "stock", Want: Passed, Got: Broken, needs: []string{"gate"}}, true},
		"asked of an agent from inside":     {Result{Way: Agent, Want: Refused, Got: Broken, needs: []string{"gate", "shop@a"}}, false},
		"no question":                       {Result{Way: Template, Want: Refused, Got: Unasked}, false},
		"asked of an agent from outside":    {Result{Way: Agent, Want: Refused, Got: Broken, needs: []string{"gate", ""}}, true},
		"given by the agent, and it may no": {Result{Way: Agent, Want: Refused, Got: Passed, needs: []string{"gate", "shop@a"}}, true},
	} {
		r := &Report{Results: []Result{c.result}}
		r.without(g, []string{"shop@a"})
		if (len(r.Results) == 1) != c.stays || r.Whole() {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
