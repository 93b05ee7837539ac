package platform

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// R86: what all roles may have together fits into the server, also when an operator makes the pools
// larger.
func TestConnectionLimitsCoverTwoInstances(t *testing.T) {
	t.Parallel()
	pool, _ := reflect.TypeFor[pg.Config]().FieldByName("MaxConns")
	if got := pool.Tag.Get("default"); got != strconv.Itoa(poolConns) {
		t.Errorf("a pool has %s connections by default, the limits count %d", got, poolConns)
	}
	pools := 0
	for _, program := range testPlatform(t).opts.Definition.Programs {
		if program.Database == nil {
			continue
		}
		for _, pool := range program.Database.Pools {
			pools++
			options, err := os.ReadFile("../../../../services/" + program.Name + "/internal/app/config.go") // which nothing outside of the service may import
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
		p := testPlatform(t, c.environ...)
		got := []int{
			p.connectionLimit("identity", "identity"), p.connectionLimit("authz", "authz"), p.connectionLimit("audit", "audit"),
			p.connectionLimit("audit", "audit_owner"),
		}
		if want := []int{c.identity, c.authz, c.audit, c.owner}; !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %v, want %v", c.environ, got, want)
		}
		if most := p.maxConnections(); most < c.atMost+superConns {
			t.Errorf("%v: the server has %d connections", c.environ, most)
		}
	}
}
