package plan_test

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/internal/plan"
)

const poolVariable = "GATEHOUSE_POSTGRES_MAX_CONNS"

// R86: what all roles may have together fits into the server, also when an operator makes the pools
// larger.
func TestConnectionLimitsCoverTwoInstances(t *testing.T) {
	p := plan.Of(definition(t))
	pool, _ := reflect.TypeFor[pg.Config]().FieldByName("MaxConns")
	if got, want := pool.Tag.Get("default"), fmt.Sprint(database(t, p, "identity").Serving().Pools[0].Size); got != want {
		t.Errorf("a pool has %s connections by default, the limits count %s", got, want)
	}
	pools := 0
	for _, program := range p.Programs {
		if program.Database == nil {
			continue
		}
		for _, pool := range program.Database.Serving().Pools {
			if pool.Variable == "" || pool.Variable == poolVariable {
				continue
			}
			pools++
			options, err := os.ReadFile("../../services/" + program.Name + "/internal/app/config.go") // which nothing outside of the service may import
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`env:"%s" default:"%d"`, pool.Variable, pool.Size); !strings.Contains(string(options), want) {
				t.Errorf("%s has no option with %s, which its contract states", program.Name, want)
			}
		}
	}
	if pools == 0 {
		t.Error("no contract states a pool")
	}
	for _, c := range []struct {
		environ                               []string
		identity, authz, audit, owner, atMost int
	}{
		{nil, 34, 74, 34, 10, 34*3 + 74 + 10},
		{[]string{poolVariable + "=30", "GATEHOUSE_AUTHZ_ENGINE_MAX_CONNS=50"}, 74, 174, 74, 10, 74*3 + 174 + 10},
		{[]string{poolVariable + "=many"}, 34, 74, 34, 10, 34*3 + 74 + 10},
	} {
		got := []int{
			database(t, p, "identity").Serving().ConnectionLimit(c.environ), database(t, p, "authz").Serving().ConnectionLimit(c.environ),
			database(t, p, "audit").Serving().ConnectionLimit(c.environ), database(t, p, "audit").Owner().ConnectionLimit(c.environ),
		}
		if want := []int{c.identity, c.authz, c.audit, c.owner}; !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %v, want %v", c.environ, got, want)
		}
		if most := p.MaxConnections(c.environ); most < c.atMost+20 { // 20 for the superuser
			t.Errorf("%v: the server has %d connections", c.environ, most)
		}
	}
}

// All instances of a deployment run beside all that it replaces: the limits cover them where the
// executor says how many that are.
func TestConnectionLimitsCoverADeployment(t *testing.T) {
	p := plan.Of(definition(t))
	six := p.Instances(6)
	for name, want := range map[string][2]int{"identity": {34, 82}, "authz": {74, 202}, "audit": {34, 82}} {
		if got := [2]int{database(t, p, name).Serving().ConnectionLimit(nil), database(t, six, name).Serving().ConnectionLimit(nil)}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := database(t, six, "audit").Owner().ConnectionLimit(nil); got != 10 {
		t.Errorf("who owns and does not serve: %d", got)
	}
	if fewer := p.Instances(1).MaxConnections(nil); fewer != p.MaxConnections(nil) || six.MaxConnections(nil) < 82*3+202+10 {
		t.Errorf("one instance: %d; six: %d", fewer, six.MaxConnections(nil))
	}
}

func database(t *testing.T, p *plan.Plan, name string) *plan.Database {
	t.Helper()
	program, err := p.Program(name)
	if err != nil || program.Database == nil {
		t.Fatalf("the database of %s: %+v, %v", name, program.Database, err)
	}
	return program.Database
}
