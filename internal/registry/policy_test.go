package registry_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/client"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// Two sidecars live by nothing but their policies: they register, get their certificates, listeners,
// intentions and each other's addresses over xDS, and a call passes. And the policies give no more:
// no other service is seen or written (R83).
func TestSidecarsLiveByTheirPolicies(t *testing.T) {
	o := consultest.NewOneMachine(t)
	def, callee, caller := pair(t)
	if err := registry.WriteEntries(t.Context(), o.Client, registry.ConfigEntries(def, prefix)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also over itself
		if err := registry.WritePolicies(t.Context(), o.Client, def, prefix); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, callee.Port)
	clients := map[string]*api.Client{}
	for _, p := range []mesh.Program{callee, caller} {
		token, _, err := o.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{Name: prefix.Service(p.Name)}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		clients[p.Name], err = registry.NewClient(o.HTTPS, registry.Config{CA: o.CAFile, Cert: o.CertFile, Key: o.KeyFile, Token: config.NewSecret(token.SecretID)})
		if err != nil {
			t.Fatal(err)
		}
		registration, err := registry.Registration(def, p.Name, mesh.Config{ServicePrefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		if err := clients[p.Name].Agent().ServiceRegister(registration); err != nil {
			t.Fatalf("%s may not register: %v", p.Name, err)
		}
		closedEnvoy(t, o, p, token.SecretID)
	}
	w := &way{}
	var err error
	if w.conn, err = client.Dial(def, 0, "caller", "callee", client.Options{Contract: &contract.Contract{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	check.Within(t, time.Minute, "call through both sidecars", func() error { return w.echo(t.Context()) })

	givesNoMore(t, o, clients)
}

// givesNoMore looks at what the policies of the caller and the callee allow beyond their sidecars.
func givesNoMore(t *testing.T, o *consultest.OneMachine, clients map[string]*api.Client) {
	t.Helper()
	stranger := &api.AgentServiceRegistration{Name: "stranger", Port: 1, Connect: &api.AgentServiceConnect{SidecarService: &api.AgentServiceRegistration{Port: 2}}}
	if err := o.Agent().ServiceRegister(stranger); err != nil {
		t.Fatal(err)
	}
	check.Within(t, 20*time.Second, "the stranger in the catalog", func() error {
		seen, _, err := o.Catalog().Services(nil)
		if err == nil && seen["stranger"] == nil {
			err = fmt.Errorf("seen is %v", seen)
		}
		return err
	})
	for name, want := range map[string][]string{
		"caller": {"gatehouse-callee", "gatehouse-callee-sidecar-proxy", "gatehouse-caller", "gatehouse-caller-sidecar-proxy"},
		"callee": nil, // it calls nobody, and so sees no node either
	} {
		seen, _, err := clients[name].Catalog().Services(nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for service := range seen {
			names = append(names, service)
		}
		slices.Sort(names)
		if !slices.Equal(names, want) {
			t.Errorf("%s sees %v, want %v", name, names, want)
		}
	}
	for _, other := range []string{"gatehouse-callee", "stranger", "caller"} {
		err := clients["caller"].Agent().ServiceRegister(&api.AgentServiceRegistration{ID: "pose", Name: other})
		if status := (api.StatusError{}); err == nil || !errors.As(err, &status) || status.Code != http.StatusForbidden {
			t.Errorf("the caller registers %s: %v", other, err)
		}
	}
	if _, _, err := clients["caller"].KV().Get("x", nil); err == nil {
		t.Error("the caller reads keys")
	}
}

// A Nomad client sees the agent of its own node, and what services of ours that has, and takes them
// out; it does nothing else.
func TestNomadClientsTakeOutWhatIsOurs(t *testing.T) {
	o := consultest.NewOneMachine(t)
	as := func(node string) *api.Client {
		policy, _, err := o.ACL().PolicyCreate(registry.NomadClientPolicy(node, prefix), nil)
		if err != nil {
			t.Fatal(err)
		}
		token, _, err := o.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := registry.NewClient(o.HTTPS, registry.Config{CA: o.CAFile, Cert: o.CertFile, Key: o.KeyFile, Token: config.NewSecret(token.SecretID)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	here, elsewhere := as("gatehouse"), as("elsewhere")
	for _, service := range []string{prefix.Service("identity"), "shop"} {
		if err := o.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: service, Check: &api.AgentServiceCheck{TTL: "1m"}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := here.Agent().Self(); err != nil {
		t.Errorf("its own agent: %v", err)
	}
	seen, err := here.Agent().Services()
	if err != nil || len(seen) != 1 {
		t.Errorf("it sees %v, %v", seen, err)
	}
	if checks, err := here.Agent().Checks(); err != nil || len(checks) != 1 {
		t.Errorf("it sees the checks %v, %v", checks, err)
	}
	if err := here.Agent().ServiceDeregister(prefix.Service("identity")); err != nil {
		t.Errorf("one of ours that has ended: %v", err)
	}
	for what, refused := range map[string]func() error{
		"somebody else's service": func() error { return here.Agent().ServiceDeregister("shop") },
		"another node's agent":    func() error { _, err := elsewhere.Agent().Self(); return err },
		"a key":                   func() error { _, _, err := here.KV().Get("x", nil); return err },
		"the catalog": func() error {
			_, err := here.Catalog().Register(&api.CatalogRegistration{Node: "x", Address: "127.0.0.9"}, nil)
			return err
		},
		"who may call whom": func() error {
			_, _, err := here.ConfigEntries().Set(&api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: prefix.Service("identity"), Sources: []*api.SourceIntention{{Name: "*", Action: api.IntentionActionAllow}}}, nil)
			return err
		},
		"policies":                 func() error { _, _, err := here.ACL().PolicyList(nil); return err },
		"the agent's own keepings": func() error { return here.Agent().EnableNodeMaintenance("x") },
	} {
		if status := (api.StatusError{}); !errors.As(refused(), &status) || status.Code != http.StatusForbidden {
			t.Errorf("%s: %+v", what, status)
		}
	}
}

// closedEnvoy runs the sidecar of a program whose agent has TLS and ACLs, with a token.
func closedEnvoy(t *testing.T, o *consultest.OneMachine, p mesh.Program, token string) {
	t.Helper()
	consul, err := consultest.Find("consul")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	bootstrap := exec.CommandContext(t.Context(), consul, "connect", "envoy", "-sidecar-for", prefix.Service(p.Name), "-bootstrap", "-ignore-envoy-compatibility",
		"-http-addr", "https://"+o.HTTPS, "-grpc-addr", "https://"+o.XDS, "-ca-file", o.CAFile, "-client-cert", o.CertFile, "-client-key", o.KeyFile,
		"-admin-bind", fmt.Sprintf("127.0.0.1:%d", p.Admin), "-token", token)
	bootstrap.Stderr = os.Stderr
	config, err := bootstrap.Output()
	if err != nil {
		t.Fatalf("bootstrap of %s: %v", p.Name, err)
	}
	run(t, config)
}
