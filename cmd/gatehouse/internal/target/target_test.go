package target_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cluster"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/operator"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/target"
	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

// platformOf makes a state folder whose platform is this test, and returns it.
func platformOf(t *testing.T) state.Dir {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	self, err := supervise.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Write(state.Record{Supervisor: self, Consul: "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	certificates, err := agent.NewCertificates(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		platform.ManagementToken: "11111111-2222-3333-4444-555555555555", platform.ConsulCA: certificates.CA,
		platform.ConsulClientCert: certificates.ClientCert, platform.ConsulClientKey: certificates.ClientKey,
	} {
		if err := dir.WriteSecret(name, secret); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// What runs on this machine goes first, whatever a shell has exported; one may be chosen.
func TestFindTakesTheFirstThatThereIs(t *testing.T) {
	running, nothing := platformOf(t).Root(), filepath.Join(t.TempDir(), "none")
	exported := []string{"CONSUL_HTTP_ADDR=127.0.0.1:2"}
	for name, c := range map[string]struct {
		options target.Options
		want    target.Kind
	}{
		"a platform":                    {target.Options{State: running}, target.Machine},
		"a platform before variables":   {target.Options{State: running, Environ: exported}, target.Machine},
		"variables":                     {target.Options{State: nothing, Environ: exported}, target.Environment},
		"variables because of --target": {target.Options{State: running, Environ: exported, Only: target.Environment}, target.Environment},
	} {
		found, err := target.Find(c.options)
		if err != nil || found.Kind != c.want || found.Name == "" || found.Mend == "" {
			t.Errorf("%s: %+v, %v", name, found, err)
			continue
		}
		if client, err := found.Consul(); err != nil || client == nil {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// clusterOf makes the state folder of a development cluster whose first process is this test.
func clusterOf(t *testing.T) state.Dir {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "cluster"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	self, err := supervise.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Save("cluster.json", cluster.Record{Healthy: true, Link: "lo", Prefix: "x-", Consul: "10.0.0.1:8501", Nomad: "https://10.0.0.1:4646", Site: cluster.Host{First: self}}); err != nil {
		t.Fatal(err)
	}
	certificates, err := agent.NewCertificates(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string]string{
		cluster.ConsulToken: "c", cluster.NomadToken: "n", cluster.AgentsCA: certificates.CA, cluster.OperatorCert: certificates.ClientCert, cluster.OperatorKey: certificates.ClientKey,
	} {
		if err := dir.WriteSecret(name, secret); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// The development cluster is asked by its own variables and not by those of the shell.
func TestTheDevelopmentCluster(t *testing.T) {
	nothing, running := filepath.Join(t.TempDir(), "none"), clusterOf(t).Root()
	environ := []string{"CONSUL_HTTP_ADDR=127.0.0.1:2", "GATEHOUSE_MESH_SERVICE_PREFIX=other-"}
	found, err := target.Find(target.Options{State: nothing, Cluster: running, Environ: environ})
	if err != nil || found.Kind != target.Cluster || found.Prefix != "x-" || operator.Variable(found.Environ, "CONSUL_HTTP_ADDR") != "https://10.0.0.1:8501" {
		t.Fatalf("%+v, %v", found, err)
	}
	if client, err := found.Consul(); err != nil || client == nil {
		t.Errorf("Consul: %v", err)
	}
	if client, err := found.Nomad(); err != nil || client.Address() != "https://10.0.0.1:4646" {
		t.Errorf("Nomad: %v", err)
	}
	found, err = target.Find(target.Options{State: platformOf(t).Root(), Cluster: running, Environ: environ})
	if err != nil || found.Kind != target.Machine {
		t.Errorf("beside a platform: %+v, %v", found, err)
	}
	found, err = target.Find(target.Options{State: nothing, Cluster: running, Environ: environ, Only: target.Environment})
	if err != nil || found.Kind != target.Environment || found.Prefix != "other-" {
		t.Errorf("by --target: %+v, %v", found, err)
	}
}

// That there is none is one sentence, which says how to get one.
func TestFindRefuses(t *testing.T) {
	nothing := filepath.Join(t.TempDir(), "none")
	unreadable := platformOf(t)
	if err := os.Remove(unreadable.SecretPath(platform.ManagementToken)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		options target.Options
		want    string
	}{
		"nothing":                         {target.Options{State: nothing}, "`gatehouse up` or `make cluster`, or set CONSUL_HTTP_ADDR"},
		"an empty variable":               {target.Options{State: nothing, Environ: []string{"CONSUL_HTTP_ADDR="}}, "set CONSUL_HTTP_ADDR"},
		"no platform":                     {target.Options{State: nothing, Only: target.Machine, Environ: []string{"CONSUL_HTTP_ADDR=x:1"}}, "gatehouse up"},
		"no cluster":                      {target.Options{State: nothing, Only: target.Cluster, Environ: []string{"CONSUL_HTTP_ADDR=x:1"}}, "make cluster"},
		"a cluster that has ended":        {target.Options{State: nothing, Only: target.Cluster, Cluster: nothing}, "make cluster"},
		"a cluster's folder that is none": {target.Options{State: nothing, Only: target.Cluster, Cluster: file}, file},
		"no variables":                    {target.Options{State: nothing, Only: target.Environment}, "CONSUL_HTTP_ADDR is not set"},
		"a bad prefix":                    {target.Options{State: nothing, Environ: []string{"CONSUL_HTTP_ADDR=x:1", "GATEHOUSE_MESH_SERVICE_PREFIX=X"}}, "GATEHOUSE_MESH_SERVICE_PREFIX"},
		"neither true nor false":          {target.Options{State: nothing, Environ: []string{"CONSUL_HTTP_ADDR=x:1", "CONSUL_HTTP_SSL=maybe"}}, `CONSUL_HTTP_SSL is "maybe": give true or false`},
		"no such certificate":             {target.Options{State: nothing, Environ: []string{"CONSUL_HTTP_ADDR=https://x:1", "CONSUL_CACERT=" + nothing}}, nothing},
		"no such token":                   {target.Options{State: nothing, Environ: []string{"CONSUL_HTTP_ADDR=https://x:1", "CONSUL_HTTP_TOKEN_FILE=" + nothing}}, nothing},
		"another user's platform":         {target.Options{State: unreadable.Root()}, "run this as the user that runs the platform"},
		"a folder that is none":           {target.Options{State: file}, file},
	} {
		found, err := target.Find(c.options)
		if err == nil {
			_, err = found.Consul()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %+v, %v, want %q", name, found, err, c.want)
		}
	}
	if _, err := target.Find(target.Options{State: nothing}); !errors.Is(err, target.ErrNone) {
		t.Errorf("%v", err)
	}
}

// Nomad is found by its own variables, and its namespace is the platform's unless they say another.
func TestNomad(t *testing.T) {
	nothing := filepath.Join(t.TempDir(), "none")
	find := func(environ ...string) *target.Target {
		t.Helper()
		found, err := target.Find(target.Options{State: nothing, Environ: append(environ, "CONSUL_HTTP_ADDR=x:1")})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if client, err := find().Nomad(); client != nil || err != nil {
		t.Errorf("without variables: %v, %v", client, err)
	}
	var asked *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(server.Close)
	for want, environ := range map[string][]string{"gatehouse": nil, "other": {"NOMAD_NAMESPACE=other"}} {
		client, err := find(append(environ, "NOMAD_ADDR="+server.URL, "NOMAD_TOKEN=secret")...).Nomad()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Allocations().List(nil); err != nil {
			t.Fatal(err)
		}
		if got := asked.URL.Query().Get("namespace"); got != want || asked.Header.Get("X-Nomad-Token") != "secret" {
			t.Errorf("namespace %q, want %q", got, want)
		}
	}
	for want, environ := range map[string][]string{
		"give true or false": {"NOMAD_ADDR=http://x:1", "NOMAD_SKIP_VERIFY=maybe"},
		nothing:              {"NOMAD_ADDR=https://x:1", "NOMAD_CACERT=" + nothing},
	} {
		if _, err := find(environ...).Nomad(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Consul is asked as its own command would ask it.
func TestVariablesAreConsulsOwn(t *testing.T) {
	var asked *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"token":         {[]string{"CONSUL_HTTP_TOKEN=of-the-variable"}, "of-the-variable"},
		"token in file": {[]string{"CONSUL_HTTP_TOKEN_FILE=" + file}, "of-the-file"},
		"password":      {[]string{"CONSUL_HTTP_AUTH=ada:secret"}, "ada:secret"},
		"nothing":       {nil, ""},
	} {
		found, err := target.Find(target.Options{State: filepath.Join(t.TempDir(), "none"), Environ: append(c.environ, "CONSUL_HTTP_ADDR="+server.URL)})
		if err != nil {
			t.Fatal(err)
		}
		client, err := found.Consul()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Catalog().Nodes(nil); err != nil {
			t.Fatal(err)
		}
		got := asked.Header.Get("X-Consul-Token")
		if user, password, ok := asked.BasicAuth(); ok {
			got = user + ":" + password
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Consul's API has TLS by its scheme, or by the variable that says so.
func TestAPI(t *testing.T) {
	nothing := filepath.Join(t.TempDir(), "none")
	for want, environs := range map[string][][]string{
		"x:1": {{"CONSUL_HTTP_ADDR=https://x:1"}, {"CONSUL_HTTP_ADDR=x:1", "CONSUL_HTTP_SSL=true"}, {"CONSUL_HTTP_ADDR=http://x:1", "CONSUL_HTTP_SSL=1"}},
		"":    {{"CONSUL_HTTP_ADDR=x:1"}, {"CONSUL_HTTP_ADDR=http://x:1"}, {"CONSUL_HTTP_ADDR=x:1", "CONSUL_HTTP_SSL=false"}, {"CONSUL_HTTP_ADDR=unix:///x", "CONSUL_HTTP_SSL=true"}},
	} {
		for _, environ := range environs {
			found, err := target.Find(target.Options{State: nothing, Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			if got := found.API(); got != want {
				t.Errorf("%v: %q, want %q", environ, got, want)
			}
		}
	}
}
