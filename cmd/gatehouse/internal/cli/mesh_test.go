package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/logs"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

const write = "/gatehouse.authz.v1.AuthzService/WriteRelationships"

// Without a mesh the definition alone explains.
func TestExplainByTheDefinitionAlone(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "none")
	code, out, problem := run(t, nil, "mesh", "explain", "identity", "authz/WriteRelationships", "--state", nowhere)
	for _, want := range []string{
		"identity -> " + write + " of authz: allowed\n", "identity declares the call", "proto/gatehouse/identity/v1/identity.proto:",
		"authz consents to identity", "proto/gatehouse/authz/v1/authz.proto:", "source identity, permission 6 of 7: allow, path is " + write,
		"consul/config-entries/30-service-intentions-authz.json:",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d %q, want %q in\n%s", code, problem, want, out)
		}
	}
	if strings.Contains(out, "running") {
		t.Errorf("something runs:\n%s", out)
	}
	code, out, _ = run(t, nil, "mesh", "explain", "identity", "authz", "--state", nowhere, "-o", "json")
	var answers []map[string]any
	if err := json.Unmarshal([]byte(out), &answers); code != 0 || err != nil || len(answers) < 10 || answers[0]["callee"] != "authz" {
		t.Errorf("%d, %v, %s", code, err, out)
	}
}

// A definition of another folder explains as well, with or without its sources.
func TestExplainByAnotherDefinition(t *testing.T) {
	folder, nowhere := t.TempDir(), filepath.Join(t.TempDir(), "none")
	text, err := meshtest.Definition(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "mesh.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	ask := func() (int, string, string) {
		return run(t, nil, "mesh", "explain", "auth", "postgres", "--mesh", folder, "--state", nowhere)
	}
	if code, out, problem := ask(); code != 0 || !strings.Contains(out, "auth -> connections of postgres: allowed") || !strings.Contains(out, filepath.Join(folder, "config-entries")) {
		t.Errorf("%d %q %q", code, out, problem)
	}
	sources := filepath.Join(folder, "sources.json")
	for text, want := range map[string]string{`{"programs": {"auth": {"said": {"postgres": "here:7"}}}}`: "here:7", "{": "decode the sources"} {
		if err := os.WriteFile(sources, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, out, problem := ask(); !strings.Contains(out+problem, want) {
			t.Errorf("%q %q, want %q", out, problem, want)
		}
	}
}

// What an operator gets wrong is one sentence, before anything is asked.
func TestMeshRefusals(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "none")
	closed := []string{"CONSUL_HTTP_ADDR=127.0.0.1:1"}
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"explain: a slip":           {nil, []string{"explain", "identiy", "authz"}, "did you mean identity?"},
		"explain: no such target":   {nil, []string{"explain", "identity", "authz", "--target", "cluster"}, "make cluster"},
		"explain: Consul is away":   {closed, []string{"explain", "identity", "authz"}, "connection refused"},
		"diff: nothing runs":        {nil, []string{"diff"}, "gatehouse up"},
		"diff: Consul is away":      {closed, []string{"diff"}, "connection refused"},
		"diff: Markdown of a mesh":  {closed, []string{"diff", "--markdown"}, "--base"},
		"diff: JSON of versions":    {nil, []string{"diff", "--base", "HEAD", "-o", "json"}, "--output"},
		"deny: nothing runs":        {nil, []string{"deny", "identity", "authz", "--reason", "x"}, "gatehouse up"},
		"deny: no reason":           {closed, []string{"deny", "identity", "authz"}, "--reason"},
		"deny: an empty reason":     {closed, []string{"deny", "identity", "authz", "--reason", " "}, "--reason"},
		"deny: a reason of lines":   {closed, []string{"deny", "identity", "authz", "--reason", "a\nb"}, "--reason"},
		"deny: a slip":              {closed, []string{"deny", "identity", "authz/Chekc", "--reason", "x"}, "did you mean Check?"},
		"denied: nothing runs":      {nil, []string{"denied"}, "gatehouse up"},
		"denied: no Nomad":          {closed, []string{"denied"}, "NOMAD_ADDR is not set"},
		"denied: Consul is away":    {append([]string{"NOMAD_ADDR=http://127.0.0.1:1"}, closed...), []string{"denied"}, "ask whether sidecars log calls"},
		"verify: nothing runs":      {nil, []string{"verify"}, "make cluster"},
		"verify: Consul is away":    {closed, []string{"verify"}, "connection refused"},
		"verify: no such CA":        {append([]string{"CONSUL_CACERT=" + nowhere}, closed...), []string{"verify"}, nowhere},
		"reset: nothing runs":       {nil, []string{"reset", "identity", "authz"}, "gatehouse up"},
		"reset: a slip":             {closed, []string{"reset", "identity", "atuhz"}, "did you mean authz?"},
		"reset: Consul is away":     {closed, []string{"reset", "identity", "authz"}, "connection refused"},
		"render: no prefix":         {nil, []string{"render", "--out", nowhere}, "--prefix"},
		"render: a bad prefix":      {nil, []string{"render", "--out", nowhere, "--prefix", "x"}, "GATEHOUSE_MESH_SERVICE_PREFIX"},
		"render: a method of ours":  {nil, []string{"render", "--out", nowhere, "--prefix", "x-", "--jwks-url", "https://x"}, "--own-cluster"},
		"render: no keys":           {nil, []string{"render", "--out", nowhere, "--own-cluster"}, "--jwks-url"},
		"render: no such CA":        {nil, []string{"render", "--out", nowhere, "--own-cluster", "--jwks-url", "https://x", "--jwks-ca", nowhere}, "--jwks-ca"},
		"render: everybody":         {nil, []string{"render", "--out", nowhere, "--prefix", "x-", "--ingress-source", "*"}, "everybody"},
		"render: an odd method":     {nil, []string{"render", "--out", nowhere, "--prefix", "x-", "--auth-method", "$(x)"}, "--auth-method"},
		"render: an odd node":       {nil, []string{"render", "--out", nowhere, "--prefix", "x-", "--nomad-client", "../x"}, "--nomad-client"},
		"render: a full folder":     {nil, []string{"render", "--out", ".", "--prefix", "x-"}, "not empty"},
		"no such definition":        {closed, []string{"diff", "--mesh", nowhere}, "mesh.json"},
		"a target that there isn't": {closed, []string{"diff", "--target", "moon"}, "machine"},
	} {
		args := append([]string{"mesh"}, c.args...)
		if c.args[0] != "render" { // it asks no mesh
			args = append(args, "--state", nowhere)
		}
		code, out, problem := run(t, c.environ, args...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}

// The bad day with a real Consul: deny, see it, reset.
func TestDenyAndReset(t *testing.T) {
	server := consultest.New(t)
	for _, entry := range registry.ConfigEntries(meshtest.Definition(t), "x-") {
		check.Within(t, 20*time.Second, "config entry", func() error { // a Consul that has just started refuses intentions
			_, _, err := server.ConfigEntries().Set(entry, nil)
			return err
		})
	}
	nowhere := filepath.Join(t.TempDir(), "none")
	say := func(code int, want string, args ...string) {
		t.Helper()
		got, out, problem := run(t, []string{"CONSUL_HTTP_ADDR=" + server.HTTP, "SUDO_USER=ada", "GATEHOUSE_MESH_SERVICE_PREFIX=x-", "NOMAD_ADDR=http://127.0.0.1:1"}, append(append([]string{"mesh"}, args...), "--state", nowhere)...)
		if got != code || !strings.Contains(out+problem, want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s%s", args, got, code, want, out, problem)
		}
	}
	say(0, "are as the definition says", "diff")
	say(0, "running   allowed, in Consul at", "explain", "identity", "authz/WriteRelationships")
	say(0, "a plan of `terraform apply` fails until then", "deny", "identity", "authz/WriteRelationships", "--reason", "it floods")
	say(0, "nothing was changed", "deny", "identity", "authz/WriteRelationships", "--reason", "again")
	say(1, "identity -> "+write+" is denied and should be allowed (denied by hand: ", "diff")
	say(1, "by ada@", "diff")
	say(0, "denied, UNLIKE the definition", "explain", "identity", "authz/WriteRelationships")
	say(0, "running   allowed", "explain", "identity", "authz/GetModel")
	say(0, "is denied in Consul at", "deny", "auth", "authz", "--reason", "it too")
	say(0, "auth -> "+write+" is denied and should be allowed", "reset", "identity", "authz")
	say(0, "is what the definition says again", "reset", "auth", "authz")
	say(0, "are as the definition says", "diff")

	held, _, err := server.ConfigEntries().Get(api.ServiceIntentions, "x-authz", nil)
	check.NoError(t, err)
	entry, _ := held.(*api.ServiceIntentionsConfigEntry)
	first, _ := strings.CutPrefix(entry.Sources[0].Name, "x-")
	entry.Sources = entry.Sources[1:] // as `consul intention delete` does
	_, _, err = server.ConfigEntries().Set(entry, nil)
	check.NoError(t, err)
	say(1, first+" -> ", "diff")
	say(0, "is what the definition says again", "reset", first, "authz")
	say(0, "are as the definition says", "diff")

	if _, err := server.ConfigEntries().Delete(api.ServiceIntentions, "x-authz", nil); err != nil {
		t.Fatal(err)
	}
	say(1, "Consul has no service-intentions of x-authz: apply the entries to write it again", "diff")
	say(1, "nothing of ours allows the call", "deny", "identity", "authz", "--reason", "x")
	say(0, "no entry names the caller", "explain", "identity", "authz/GetModel")
	say(0, "is what the definition says again", "reset", "identity", "authz")
	for _, foreign := range []api.ConfigEntry{
		&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "foreign", Protocol: "http"},
		&api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal},
	} {
		if _, _, err := server.ConfigEntries().Set(foreign, nil); err != nil {
			t.Fatal(err)
		}
	}
	say(0, "are as the definition says", "diff")
	say(0, `"differences": []`, "diff", "-o", "json")
	say(1, "log no calls: add AccessLogs to proxy-defaults/global", "denied")
	if _, _, err := server.ConfigEntries().Set(logs.Entry(), nil); err != nil {
		t.Fatal(err)
	}
	say(1, "list Nomad's allocations", "denied")
}

// A token that Consul does not know, and none where one is needed, are one sentence that says what
// to set. Without one Consul hides entries and gives no error.
func TestMeshNeedsAToken(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if list := strings.Count(r.URL.Path, "/") == 3; list && r.Header.Get("X-Consul-Token") == "" {
			_, _ = w.Write([]byte("[]"))
			return
		}
		http.Error(w, "ACL not found", http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	nowhere := filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{
		{"diff"}, {"explain", "identity", "authz"}, {"deny", "identity", "authz", "--reason", "x"}, {"reset", "identity", "authz"},
	} {
		for _, environ := range [][]string{{"CONSUL_HTTP_TOKEN=old"}, nil} {
			code, out, problem := run(t, append(environ, "CONSUL_HTTP_ADDR="+server.URL), append(append([]string{"mesh"}, args...), "--state", nowhere)...)
			if code != 1 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, "set CONSUL_HTTP_TOKEN to ") {
				t.Errorf("%v with %v: exit code %d, %q, %q", args, environ, code, out, problem)
			}
		}
	}
}
