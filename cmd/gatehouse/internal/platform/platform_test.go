package platform

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/preflight"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

func testPlatform(t *testing.T, environ ...string) *Platform {
	t.Helper()
	def := meshtest.Definition(t)
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	gateway, err := GatewayOf(def, 3000, environ)
	if err != nil {
		t.Fatal(err)
	}
	return &Platform{plan: plan.Of(def), opts: Options{Dir: dir, Definition: def, Offset: 3000, Gateway: gateway, Environ: environ, Now: time.Now,
		Programs: preflight.Programs{Envoy: preflight.Program{Path: "/bin/sh"}, Own: map[string]string{"auth": "/bin/true"}},
		Progress: func(string, ...any) {}}}
}

// environOf is the environment of a program's task.
func environOf(t *testing.T, p *Platform, program, verb string) []string {
	t.Helper()
	environ, err := p.environ(processOf(t, p, program, verb))
	if err != nil {
		t.Fatal(err)
	}
	return environ
}

// processOf is a process of the first instance of a program, or of the one that is named by its id.
func processOf(t *testing.T, p *Platform, id, verb string) process {
	t.Helper()
	for _, one := range p.processes(verb) {
		if one.of.id == id {
			return one
		}
	}
	t.Fatalf("%s has nothing to %s", id, verb)
	panic("unreachable")
}

// unitOf is what is registered under an id.
func unitOf(t *testing.T, p *Platform, id string) unit {
	t.Helper()
	for _, u := range p.units() {
		if u.id == id {
			return u
		}
	}
	t.Fatalf("there is no %s", id)
	panic("unreachable")
}

func names(environ []string) []string {
	var all []string
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// A child gets what it needs and the operator's settings that are meant for it; nothing else of the operator's environment.
func TestEnvironmentIsClosed(t *testing.T) {
	p := testPlatform(t,
		"AWS_CA_BUNDLE=/x", "HOME=/root", "CONSUL_HTTP_TOKEN=hunter2", "PGPASSWORD=hunter2", "HTTP_PROXY=x",
		"GATEHOUSE_LOG_LEVEL=debug", "GATEHOUSE_AUTH_HASHERS=1", "GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:1",
		"GATEHOUSE_POSTGRES_URL=postgres://super:hunter2@h/x", "GATEHOUSE_MESH_PORT_OFFSET=9000", "GATEHOUSE_MESH_TRUST_DOMAIN=hunter2", "GATEHOUSE_MESH_SERVICE_PREFIX=hunter2", "GATEHOUSE_CONSUL_TOKEN=hunter2",
		"GATEHOUSE_CLI_STATE=/x", "GATEHOUSE_URL=x")
	kept := []string{"HOME", "LANG", "PATH", "TMPDIR", "GATEHOUSE_MESH_DATACENTER", "GATEHOUSE_MESH_PORT_OFFSET", "GATEHOUSE_MESH_SERVICE_PREFIX", "GATEHOUSE_MESH_TRUST_DOMAIN", "GATEHOUSE_LOG_LEVEL", "GATEHOUSE_GRPC_REFLECTION", "GATEHOUSE_REST", "GATEHOUSE_DRAIN_DELAY", "GATEHOUSE_TOKEN_ISSUER"}
	for program, own := range map[string][]string{
		"auth":     {"GATEHOUSE_AUTH_KEY_FILE", "GATEHOUSE_AUTH_BOOTSTRAP_SECRET_FILE", "GATEHOUSE_AUTH_HASHERS", "GATEHOUSE_AUTH_SIGN_UP", "GATEHOUSE_POSTGRES_URL_FILE"},
		"identity": {"GATEHOUSE_POSTGRES_URL_FILE"},
		"gateway":  {"GATEHOUSE_GATEWAY_LISTEN"},
	} {
		environ := environOf(t, p, program, plan.Serve)
		want := append(slices.Clone(kept), own...)
		slices.Sort(want)
		if got := names(environ); !slices.Equal(got, want) {
			t.Errorf("%s gets %v, want %v", program, got, want)
		}
		if !slices.Contains(environ, "GATEHOUSE_MESH_PORT_OFFSET=3000") || strings.Contains(strings.Join(environ, " "), "hunter2") {
			t.Errorf("%s gets %v", program, environ)
		}
	}
	for name, command := range map[string]func() (*exec.Cmd, error){
		"program": func() (*exec.Cmd, error) { return p.program(processOf(t, p, "auth", plan.Serve)) },
		"sidecar": func() (*exec.Cmd, error) { return p.envoy("auth", []byte("{}"), false) },
	} {
		cmd, err := command()
		if err != nil {
			t.Fatal(err)
		}
		if len(cmd.Env) == 0 || slices.Contains(names(cmd.Env), "AWS_CA_BUNDLE") {
			t.Errorf("the %s's environment: %v", name, cmd.Env)
		}
		for _, f := range cmd.ExtraFiles {
			_ = f.Close()
		}
	}
}

func TestTheOperatorsKeyWins(t *testing.T) {
	environ := environOf(t, testPlatform(t, "GATEHOUSE_AUTH_KEY_FILE=/own"), "auth", plan.Serve)
	keys := slices.DeleteFunc(environ, func(pair string) bool { return !strings.HasPrefix(pair, "GATEHOUSE_AUTH_KEY") })
	if !slices.Equal(keys, []string{"GATEHOUSE_AUTH_KEY_FILE=/own"}) {
		t.Errorf("%v", keys)
	}
}

// The operator's bootstrap secret wins, whichever way it is given.
func TestTheOperatorsBootstrapSecretWins(t *testing.T) {
	for _, own := range []string{"GATEHOUSE_AUTH_BOOTSTRAP_SECRET=x", "GATEHOUSE_AUTH_BOOTSTRAP_SECRET_FILE=/own"} {
		environ := environOf(t, testPlatform(t, own), "auth", plan.Serve)
		given := slices.DeleteFunc(environ, func(pair string) bool { return !strings.HasPrefix(pair, "GATEHOUSE_AUTH_BOOTSTRAP_SECRET") })
		if !slices.Equal(given, []string{own}) {
			t.Errorf("%v, want %s", given, own)
		}
	}
}

// A secret of a kind that this command cannot make is not promised to a program.
func TestAnUnknownKindOfSecretStopsTheStart(t *testing.T) {
	p := testPlatform(t)
	path, err := p.value(process{}, plan.Variable{Name: "GATEHOUSE_AUTH_KEY_FILE", Source: plan.SecretFile, Secret: "auth-ed25519.pem", Kind: "certificate"})
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%q, %v", path, err)
	}
}

// The trail's program serves as a role that owns nothing and migrates as the owner.
func TestWhoServesIsNotWhoMigrates(t *testing.T) {
	p := testPlatform(t)
	for verb, role := range map[string]string{"serve": "audit", "migrate": "audit_owner"} {
		environ := environOf(t, p, "audit", verb)
		if want := "GATEHOUSE_POSTGRES_URL_FILE=" + p.opts.Dir.SecretPath("postgres-"+role+".url"); !slices.Contains(environ, want) {
			t.Errorf("%s: %v lacks %s", verb, environ, want)
		}
	}
}

// On one machine tools find methods by name, everybody may sign up, and nobody waits for a second
// instance that does not exist, unless the operator says otherwise.
func TestReflectionIsOnUnlessTheOperatorSetsIt(t *testing.T) {
	for want, environ := range map[string][]string{
		"GATEHOUSE_GRPC_REFLECTION=true": nil, "GATEHOUSE_GRPC_REFLECTION=false": {"GATEHOUSE_GRPC_REFLECTION=false"},
		"GATEHOUSE_AUTH_SIGN_UP=open": nil, "GATEHOUSE_AUTH_SIGN_UP=closed": {"GATEHOUSE_AUTH_SIGN_UP=closed"},
		"GATEHOUSE_DRAIN_DELAY=0s": nil, "GATEHOUSE_DRAIN_DELAY=7s": {"GATEHOUSE_DRAIN_DELAY=7s"},
		"GATEHOUSE_TOKEN_ISSUER=http://localhost:11080": nil, "GATEHOUSE_TOKEN_ISSUER=https://id.example.com": {"GATEHOUSE_TOKEN_ISSUER=https://id.example.com"},
	} {
		variable, _, _ := strings.Cut(want, "=")
		got := environOf(t, testPlatform(t, environ...), "auth", plan.Serve)
		got = slices.DeleteFunc(got, func(pair string) bool { return !strings.HasPrefix(pair, variable+"=") })
		if !slices.Equal(got, []string{want}) {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

// So do the services' REST doors, and status says which are open.
func TestServicesAnswerRESTUnlessTheOperatorSetsIt(t *testing.T) {
	for _, c := range []struct {
		operators []string
		want      string
		open      bool
	}{
		{nil, "GATEHOUSE_REST=true", true},
		{[]string{"GATEHOUSE_REST="}, "GATEHOUSE_REST=true", true},
		{[]string{"GATEHOUSE_REST=true"}, "GATEHOUSE_REST=true", true},
		{[]string{"GATEHOUSE_REST=false"}, "GATEHOUSE_REST=false", false},
		{[]string{"GATEHOUSE_REST=0"}, "GATEHOUSE_REST=0", false},
	} {
		got := environOf(t, testPlatform(t, c.operators...), "auth", plan.Serve)
		got = slices.DeleteFunc(got, func(pair string) bool { return !strings.HasPrefix(pair, restVariable+"=") || pair == restVariable+"=" })
		if !slices.Equal(got, []string{c.want}) || answersREST(c.operators) != c.open {
			t.Errorf("%v: %v and open %t, want %s", c.operators, got, answersREST(c.operators), c.want)
		}
	}
}

func TestCloseAdmin(t *testing.T) {
	closed, err := closeAdmin([]byte(`{"admin":{"address":{"socket_address":{"port_value":20601}}},"node":{"id":"x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"exact":"/ready"}`, `"port_value":20601`, `"node":{"id":"x"}`} {
		if !strings.Contains(string(closed), want) {
			t.Errorf("it lacks %s: %s", want, closed)
		}
	}
	for _, bad := range []string{"", "nonsense", "{}"} {
		if _, err := closeAdmin([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// The database's sidecar gives old connections time; those of programs are cut over at once.
func TestDrainTimes(t *testing.T) {
	p := testPlatform(t)
	for backing, want := range map[bool]string{false: "--drain-time-s 2 --drain-strategy immediate", true: "--drain-time-s 600 --drain-strategy immediate"} {
		cmd, err := p.envoy("auth", []byte("{}"), backing)
		if err != nil {
			t.Fatal(err)
		}
		line := strings.Join(cmd.Args, " ")
		for _, flag := range []string{want, "--disable-hot-restart", "--concurrency 1"} {
			if !strings.Contains(line, flag) {
				t.Errorf("a sidecar without %s: %s", flag, line)
			}
		}
		for _, f := range cmd.ExtraFiles {
			_ = f.Close()
		}
	}
}

func TestGatewayOf(t *testing.T) {
	def := meshtest.Definition(t)
	for name, c := range map[string]struct {
		environ []string
		want    Gateway
	}{
		"as it is":   {nil, Gateway{"127.0.0.1:11080", "http://127.0.0.1:11080", "http://localhost:11080"}},
		"configured": {[]string{"GATEHOUSE_GATEWAY_LISTEN=127.0.0.1:99"}, Gateway{"127.0.0.1:99", "http://127.0.0.1:99", "http://localhost:99"}},
		"everywhere": {[]string{"GATEHOUSE_GATEWAY_LISTEN=:443", "GATEHOUSE_GATEWAY_TLS_CERT_FILE=/c"}, Gateway{":443", "https://127.0.0.1:443", "https://localhost"}},
		"IPv6":       {[]string{"GATEHOUSE_GATEWAY_LISTEN=[::1]:80"}, Gateway{"[::1]:80", "http://[::1]:80", "http://localhost"}},
		"elsewhere":  {[]string{"GATEHOUSE_GATEWAY_LISTEN=192.0.2.1:8443", "GATEHOUSE_GATEWAY_TLS_CERT_FILE=/c"}, Gateway{"192.0.2.1:8443", "https://192.0.2.1:8443", "https://192.0.2.1:8443"}},
	} {
		if got, err := GatewayOf(def, 3000, c.environ); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
	}
	if _, err := GatewayOf(def, 0, []string{"GATEHOUSE_GATEWAY_LISTEN=nonsense"}); err == nil {
		t.Error("an address without a port: no error")
	}
}

// The operator's own database is behind the sidecar, and a program still sees only its own sidecar.
func TestTheOperatorsDatabase(t *testing.T) {
	p := testPlatform(t)
	p.opts.PostgresURL = "postgres://super:secret@127.0.0.9:6432/postgres?sslmode=verify-full"
	r, err := p.registration(unitOf(t, p, mesh.Postgres))
	if err != nil {
		t.Fatal(err)
	}
	proxy := r.Connect.SidecarService.Proxy
	if proxy.LocalServiceAddress != "127.0.0.9" || proxy.LocalServicePort != 6432 || r.Check.TCP != "127.0.0.9:6432" {
		t.Errorf("%+v, check %s", proxy, r.Check.TCP)
	}
	identity, err := p.plan.Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	port, err := identity.Upstream(mesh.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.urlThroughMesh(port, "identity", "pw"), "postgres://identity:pw@"+p.address(port)+"/gatehouse?sslmode=require"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"nonsense", "postgres:///x", "postgres://h:port/x", "postgres://no-such-host.invalid/x"} {
		p.opts.PostgresURL = bad
		if _, err := p.registration(unitOf(t, p, mesh.Postgres)); err == nil || !strings.Contains(err.Error(), "GATEHOUSE_POSTGRES_URL") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
