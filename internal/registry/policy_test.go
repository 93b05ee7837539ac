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
