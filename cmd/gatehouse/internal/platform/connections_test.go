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
	options, err := os.ReadFile("../../../../services/authz/internal/app/config.go") // which nothing outside of Authz may import
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf(`env:"%s" default:"%d"`, engineVariable, engineConns); !strings.Contains(string(options), want) {
		t.Errorf("Authz has no option with %s, which the limits count", want)
	}
	for _, c := range []struct {
		environ                               []string
		identity, authz, audit, owner, atMost int
	}{
		{nil, 34, 74, 34, 10, 34*3 + 74 + 10},
		{[]string{poolVariable + "=30", engineVariable + "=50"}, 74, 174, 74, 10, 74*3 + 174 + 10},
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
