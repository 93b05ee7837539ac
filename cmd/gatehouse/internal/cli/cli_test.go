package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/cli"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
)

func run(t *testing.T, environ []string, args ...string) (code int, out, problem string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	environ = append([]string{"GATEHOUSE_CLI_CLUSTER=" + filepath.Join(t.TempDir(), "none")}, environ...) // whatever this machine has
	code = cli.Main(cli.Console{Args: args, Environ: environ, Out: &stdout, Err: &stderr, Version: "1.2.3", Now: time.Now})
	return code, stdout.String(), stderr.String()
}

func TestVersion(t *testing.T) {
	if code, out, problem := run(t, nil, "version"); code != 0 || out != "gatehouse 1.2.3\n" || problem != "" {
		t.Errorf("%d %q %q", code, out, problem)
	}
}

// `gatehouse env` exports a variable for people and scripts; a shell that has it can still start the platform.
func TestTheAddressForScriptsIsNoMistake(t *testing.T) {
	if code, _, problem := run(t, []string{"GATEHOUSE_URL=http://127.0.0.1:8080"}, "version"); code != 0 {
		t.Errorf("%d %q", code, problem)
	}
}

// R92: what people sent, and what somebody typed, moves no cursor and turns no text, in logs and in
// errors.
func TestNothingThatActsIsPrinted(t *testing.T) {
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	line := `{"msg":"http request","path":"/` + "\u009b31m\u202e\u200b" + `"}` + "\nraw \x1b[2J\x9b\r\n"
	if err := os.WriteFile(dir.Log("gateway"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	want := `{"msg":"http request","path":"/\u009b31m\u202e\u200b"}` + "\n" + `raw \u001b[2J\ufffd\u000d` + "\n"
	if code, out, problem := run(t, nil, "logs", "--state", dir.Root()); code != 0 || out != want {
		t.Errorf("%d %q %q, want %q", code, out, problem, want)
	}
	if code, _, problem := run(t, nil, "logs", "\u202egateway", "--state", dir.Root()); code == 0 || strings.Contains(problem, "\u202e") {
		t.Errorf("%d %q", code, problem)
	}
}

// What cannot be done is one sentence on standard error and an exit code.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"nothing runs: status":   {nil, []string{"status", "--state", empty}, "gatehouse up"},
		"nothing runs: env":      {nil, []string{"env", "--state", empty}, "gatehouse up"},
		"nothing runs: verify":   {nil, []string{"mesh", "verify", "--state", empty}, "gatehouse up"},
		"nothing was logged":     {nil, []string{"logs", "--state", empty}, "nothing was started"},
		"an odd offset":          {nil, []string{"up", "--state", empty, "--port-offset", "17"}, "--port-offset"},
		"no prefix":              {[]string{"GATEHOUSE_MESH_SERVICE_PREFIX=gatehouse"}, []string{"up", "--state", empty}, "end with a hyphen"},
		"three instances":        {nil, []string{"up", "--state", empty, "--scale", "auth=2", "--scale", "identity=3"}, "identity=3"},
		"two gateways":           {nil, []string{"up", "--state", empty, "--scale", "auth=2,gateway=2"}, "gateway=2"},
		"two databases":          {[]string{"GATEHOUSE_CLI_SCALE=postgres=2"}, []string{"up", "--state", empty}, "postgres=2"},
		"no number":              {nil, []string{"up", "--state", empty, "--scale", "auth"}, "auth"},
		"no such mesh":           {nil, []string{"up", "--state", empty, "--mesh", dir}, "mesh.json"},
		"one of each":            {[]string{"GATEHOUSE_CLI_SCALE="}, []string{"up", "--state", empty, "--bin-dir", dir}, "make"},
		"no programs":            {nil, []string{"up", "--state", empty, "--bin-dir", dir}, "make"},
		"a file for a folder":    {nil, []string{"up", "--state", file, "--detach"}, file},
		"an unknown variable":    {[]string{"GATEHOUSE_POSTGRES_ULR=x"}, []string{"version"}, "GATEHOUSE_POSTGRES_URL"},
		"an unknown flag":        {nil, []string{"up", "--stat", empty}, "--state"},
		"a gateway without port": {[]string{"GATEHOUSE_GATEWAY_LISTEN=x"}, []string{"up", "--state", empty}, "GATEHOUSE_GATEWAY_LISTEN"},
	} {
		code, out, problem := run(t, c.environ, c.args...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}

func TestDownOfNothing(t *testing.T) {
	if code, out, _ := run(t, nil, "down", "--state", filepath.Join(t.TempDir(), "none")); code != 0 || !strings.Contains(out, "nothing is running") {
		t.Errorf("%d %q", code, out)
	}
}

func TestEnvIsForShells(t *testing.T) {
	root := filepath.Join(t.TempDir(), "it's a state")
	dir, err := state.Open(root)
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
	if err := dir.Write(state.Record{Supervisor: self, Offset: 3000, Consul: "127.0.0.1:11501", Gateway: "http://127.0.0.1:11080", ServicePrefix: "gatehouse-", Scale: mesh.Scale{"identity": 2, "auth": 2}}); err != nil {
		t.Fatal(err)
	}
	code, out, problem := run(t, nil, "env", "--state", root)
	if code != 0 {
		t.Fatalf("%d %s", code, problem)
	}
	for _, want := range []string{"export CONSUL_HTTP_ADDR='https://127.0.0.1:11501'\n", "export GATEHOUSE_CLI_SCALE='auth=2,identity=2'\n", "export GATEHOUSE_MESH_SERVICE_PREFIX='gatehouse-'\n", "export GATEHOUSE_URL='http://127.0.0.1:11080'\n", `export CONSUL_CACERT=`, `it'\''s a state/secrets/consul-ca.pem`, `export CONSUL_CLIENT_CERT=`, `export CONSUL_CLIENT_KEY=`, "export CONSUL_GRPC_ADDR='https://127.0.0.1:11503'", `it'\''s a state/secrets/`} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %q:\n%s", want, out)
		}
	}
}
