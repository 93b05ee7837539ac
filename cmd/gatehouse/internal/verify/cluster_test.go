package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// clusterOf is a Consul with ACLs that knows two healthy instances of shop, an ill one, and the
// edge; nobody listens anywhere.
func clusterOf(t *testing.T) (*Cluster, *consultest.OneMachine, *mesh.Definition) {
	t.Helper()
	o := consultest.NewOneMachine(t)
	def := &mesh.Definition{
		Programs: []mesh.Program{
			{Name: "gate", Edge: true, Upstreams: []mesh.Upstream{{Name: "shop", Port: 20001, Protocol: "grpc"}}},
			{Name: "shop"}, {Name: "stock"},
		},
		Methods: []mesh.Method{{Path: "/shop.v1.Shop/Buy", Callee: "shop", Callers: []string{"gate"}}},
	}
	register(t, o, allocated("1", "gate"), "gate", 1, api.HealthPassing)
	register(t, o, allocated("a", "shop"), "shop", 2, api.HealthPassing)
	register(t, o, allocated("b", "shop"), "shop", 3, api.HealthPassing)
	register(t, o, "by-hand", "shop", 4, api.HealthCritical)
	files, err := ReadFiles(o.HTTPS, o.CAFile, o.CertFile, o.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{Consul: o.Client, Prefix: "x-", Files: files, Now: time.Now}, o, def
}

// allocated is the id of a service in an allocation whose own id begins with a digit eight times.
func allocated(digit, name string) string {
	return "_nomad-task-" + strings.Repeat(digit, 8) + "-2222-3333-4444-555555555555-group-" + name + "-x-" + name + "-8081"
}

// register tells the catalog of an instance with a sidecar.
func register(t *testing.T, o *consultest.OneMachine, id, name string, port int, status string) {
	t.Helper()
	if err := o.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: id, Name: "x-" + name, Address: "127.0.0.1", Port: 1,
		Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{
			Address: "127.0.0.1", Port: port, Check: &api.AgentServiceCheck{TTL: "1h", Status: status},
		}},
	}); err != nil {
		t.Fatal(err)
	}
}

// left are the names of policies and tokens of checks.
func left(t *testing.T, consul *api.Client) []string {
	t.Helper()
	var names []string
	policies, _, err := consul.ACL().PolicyList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range policies {
		names = append(names, p.Name)
	}
	tokens, _, err := consul.ACL().TokenList(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range tokens {
		names = append(names, token.Description)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "gatehouse-verify-") })
}

// The instances come from the catalog, certificates are signed with a token of the check's own that
// is gone afterwards, and what cannot be tried is counted.
func TestSurveyOfACluster(t *testing.T) {
	c, o, def := clusterOf(t)
	g, release, err := c.survey(t.Context(), def)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, one := range g.callees {
		found = append(found, one.program+" "+one.name+" "+one.public)
	}
	slices.Sort(found)
	if want := []string{"gate gate 127.0.0.1:1", "shop shop@gatehouse/aaaaaaaa 127.0.0.1:2", "shop shop@gatehouse/bbbbbbbb 127.0.0.1:3"}; !slices.Equal(found, want) {
		t.Errorf("instances %q, want %q", found, want)
	}
	for _, program := range []string{"gate", "shop", "stock"} {
		if len(g.own[program].certificates) != 1 {
			t.Errorf("no certificate of %s", program)
		}
	}
	untried := strings.Join(g.untried, "\n")
	for _, want := range []string{
		"calls to stock and by its sidecar: Consul knows no instance of x-stock", "its health is critical",
		"calls through the sidecar of gate", "calls through the sidecar of shop@gatehouse/aaaaaaaa", "caLeaf in a foreign job: NOMAD_ADDR is not set",
	} {
		if !strings.Contains(untried, want) {
			t.Errorf("it is not said that %q is not tried:\n%s", want, untried)
		}
	}
	if got := left(t, o.Client); len(got) != 4 { // a policy, its token, and two of services
		t.Errorf("for the check there are %q", got)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if got := left(t, o.Client); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
}

// A check that was killed has left its policy; the next one takes it away, and none of a check that
// may still be at work.
func TestPoliciesOfKilledChecks(t *testing.T) {
	c, o, def := clusterOf(t)
	at := func(age time.Duration) string {
		return fmt.Sprintf("gatehouse-verify-%d-x", time.Now().Add(-age).Unix())
	}
	fresh, killed := at(time.Minute), at(time.Hour)
	for _, name := range []string{killed, fresh, "gatehouse-verify-ours"} {
		if _, _, err := o.ACL().PolicyCreate(&api.ACLPolicy{Name: name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, release, err := c.survey(t.Context(), def)
	if err := errors.Join(err, release()); err != nil {
		t.Fatal(err)
	}
	got := left(t, o.Client)
	slices.Sort(got)
	if want := []string{fresh, "gatehouse-verify-ours"}; !slices.Equal(got, want) {
		t.Errorf("left over: %q, want %q", got, want)
	}
}

// The agents and servers of a cluster give nothing either, and nobody is there who answers: that is
// never taken for a refusal.
func TestRunOnACluster(t *testing.T) {
	c, o, def := clusterOf(t)
	report, err := Run(t.Context(), c, def)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range report.Results {
		switch {
		case result.Way == Agent && result.Got != Refused:
			t.Errorf("an agent: %s", result.sentence())
		case result.Way == Public && result.Got != Broken:
			t.Errorf("nobody is there: %s", result.sentence())
		}
	}
	if report.OK() || report.Whole() || report.Agent == 0 || report.Cells != 9 {
		t.Errorf("%d cells, %d questions to agents, untried %q", report.Cells, report.Agent, report.Untried)
	}
	if got := left(t, o.Client); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
}

// What a survey fails of is one sentence, and its tokens are gone all the same.
func TestSurveyFails(t *testing.T) {
	c, o, def := clusterOf(t)
	weak, _, err := o.ACL().TokenCreate(&api.ACLToken{TemplatedPolicies: nil, ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "other"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	asWeak, err := api.NewClient(&api.Config{Address: o.HTTPS, Scheme: "https", Token: weak.SecretID,
		TLSConfig: api.TLSConfig{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile}})
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string]struct {
		change func(c Cluster) *Cluster
		want   string
	}{
		"no right to make tokens": {func(c Cluster) *Cluster { c.Consul = asWeak; return &c }, "give a Consul token with acl"},
		"no CA":                   {func(c Cluster) *Cluster { c.Files.CA = nil; return &c }, "set CONSUL_CACERT"},
	} {
		if _, err := Run(t.Context(), broken.change(*c), def); err == nil || !strings.Contains(err.Error(), broken.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, broken.want)
		}
	}
	stopped, cancel := context.WithCancel(t.Context())
	_, release, err := c.survey(stopped, def)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := release(); err != nil {
		t.Errorf("after an interruption: %v", err)
	}
	if got := left(t, o.Client); len(got) != 0 {
		t.Errorf("left over: %q", got)
	}
}

func TestReadFiles(t *testing.T) {
	file := t.TempDir() + "/ca.pem"
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := ReadFiles("a:1", file, "", ""); err != nil || string(files.CA) != "x" || files.Cert != nil {
		t.Errorf("%+v, %v", files, err)
	}
	if _, err := ReadFiles("a:1", file+"x", "", ""); err == nil || !strings.Contains(err.Error(), file+"x") {
		t.Errorf("%v", err)
	}
}
