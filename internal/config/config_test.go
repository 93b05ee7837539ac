package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

type storeGroup struct {
	URL   Secret        `name:"store-url" env:"GATEHOUSE_POSTGRES_URL"`
	Conns int           `name:"store-conns" env:"GATEHOUSE_POSTGRES_MAX_CONNS" default:"10" help:"Most connections."`
	Life  time.Duration `name:"store-life" env:"GATEHOUSE_STORE_LIFE" default:"5m"`
}

func (g storeGroup) Validate() error {
	if g.Conns > 100 {
		return errors.New("GATEHOUSE_POSTGRES_MAX_CONNS is too large: set it to 100 or less")
	}
	return nil
}

type program struct {
	Level string `name:"log-level" env:"GATEHOUSE_LOG_LEVEL" enum:"info,debug" default:"info"`
	On    bool   `name:"on" env:"GATEHOUSE_STORE_ON"`
	Serve struct {
		Store storeGroup `embed:""`
	} `cmd:"" default:"withargs"`
	Version struct{} `cmd:""`
}

func noExit(t *testing.T) func(int) {
	return func(code int) { t.Errorf("asked to exit with %d", code) }
}

func TestParseTakesFlagsThenVariablesThenDefaults(t *testing.T) {
	t.Setenv("GATEHOUSE_LOG_LEVEL", "nonsense of the real environment")
	var cli program
	ctx, err := parse("identity", &cli, []string{"serve", "--store-conns=3"},
		[]string{"GATEHOUSE_POSTGRES_MAX_CONNS=7", "GATEHOUSE_STORE_LIFE=90s", "GATEHOUSE_STORE_ON=true", "PATH=/bin"}, io.Discard, noExit(t))
	if err != nil {
		t.Fatal(err)
	}
	if cli.Serve.Store.Conns != 3 || cli.Serve.Store.Life != 90*time.Second || !cli.On || cli.Level != "info" {
		t.Fatalf("parsed %+v", cli)
	}
	if ctx.Command() != "serve" {
		t.Fatalf("command %q", ctx.Command())
	}
}

func TestParseChoosesTheDefaultCommand(t *testing.T) {
	var cli program
	ctx, err := parse("identity", &cli, nil, []string{"GATEHOUSE_POSTGRES_MAX_CONNS=7", "GATEHOUSE_POSTGRES_URL="}, io.Discard, noExit(t))
	if err != nil || ctx.Command() != "serve" || cli.Serve.Store.Conns != 7 || !cli.Serve.Store.URL.IsZero() {
		t.Fatalf("%+v, %v", cli, err)
	}
}

func TestParseStopsWithASentence(t *testing.T) {
	dir := t.TempDir()
	empty, secret := filepath.Join(dir, "empty"), filepath.Join(dir, "secret")
	for path, content := range map[string]string{empty: " \n", secret: "s3cret\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		env  []string
		args []string
		want []string
	}{
		"unknown variable, near a known one": {env: []string{"GATEHOUSE_POSTGRES_MAX_CONN=7"}, want: []string{"GATEHOUSE_POSTGRES_MAX_CONN", "did you mean GATEHOUSE_POSTGRES_MAX_CONNS?"}},
		"unknown variable, near nothing":     {env: []string{"GATEHOUSE_FROBNICATE=7"}, want: []string{"GATEHOUSE_FROBNICATE", "unset it"}},
		"unknown, empty ones do not count":   {env: []string{"GATEHOUSE_FROBNICATE=", "GATEHOUSE_LOG_LEVL=x"}, want: []string{"GATEHOUSE_LOG_LEVEL"}},
		"value that is none of a few":        {env: []string{"GATEHOUSE_LOG_LEVEL=loud"}, want: []string{"GATEHOUSE_LOG_LEVEL", "loud", "info"}},
		"value of the wrong type":            {env: []string{"GATEHOUSE_POSTGRES_MAX_CONNS=many"}, want: []string{"GATEHOUSE_POSTGRES_MAX_CONNS", "many"}},
		"value outside of its set":           {env: []string{"GATEHOUSE_LOG_LEVEL=loud"}, want: []string{"log-level", "loud"}},
		"contradiction in a group":           {env: []string{"GATEHOUSE_POSTGRES_MAX_CONNS=101"}, want: []string{"100 or less"}},
		"secret and its file":                {env: []string{"GATEHOUSE_POSTGRES_URL=x", "GATEHOUSE_POSTGRES_URL_FILE=" + secret}, want: []string{"GATEHOUSE_POSTGRES_URL and GATEHOUSE_POSTGRES_URL_FILE are both set"}},
		"secret file missing":                {env: []string{"GATEHOUSE_POSTGRES_URL_FILE=" + secret + "x"}, want: []string{"GATEHOUSE_POSTGRES_URL_FILE", "correct the path"}},
		"secret file empty":                  {env: []string{"GATEHOUSE_POSTGRES_URL_FILE=" + empty}, want: []string{"is empty"}},
		"_FILE of what is not a secret":      {env: []string{"GATEHOUSE_STORE_LIFE_FILE=" + secret}, want: []string{"unknown variable GATEHOUSE_STORE_LIFE_FILE"}},
		"unknown flag":                       {args: []string{"serve", "--frob"}, want: []string{"--frob"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var cli program
			_, err := parse("identity", &cli, c.args, c.env, io.Discard, noExit(t))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%q holds a secret", err)
			}
		})
	}
}

// Kubernetes makes these in every pod of a namespace with a Service named gatehouse,
// gatehouse-postgres or gatehouse-identity.
func TestServiceLinksOfKubernetesAreNoOptions(t *testing.T) {
	var links []string
	for _, service := range []string{"GATEHOUSE", "GATEHOUSE_POSTGRES", "GATEHOUSE_IDENTITY", "GATEHOUSE_LOG_LEVEL"} {
		for _, link := range []string{
			"_SERVICE_HOST=10.96.0.7", "_SERVICE_PORT=8080", "_SERVICE_PORT_HTTP_ALT=8080", "_PORT=tcp://10.96.0.7:8080",
			"_PORT_8080_TCP=tcp://10.96.0.7:8080", "_PORT_8080_TCP_PROTO=tcp", "_PORT_8080_TCP_PORT=8080", "_PORT_8080_TCP_ADDR=10.96.0.7",
			"_PORT_53_UDP=udp://[fd00::7]:53", "_PORT_53_UDP_PROTO=udp", "_PORT_53_UDP_PORT=53", "_PORT_53_UDP_ADDR=fd00::7",
			"_PORT_9_SCTP_PROTO=sctp",
		} {
			links = append(links, service+link)
		}
	}
	var cli program
	if _, err := parse("identity", &cli, nil, append(links, "GATEHOUSE_POSTGRES_URL=x"), io.Discard, noExit(t)); err != nil {
		t.Errorf("they stop the start: %v", err)
	}
	for _, slip := range []string{
		"GATEHOUSE_PORT=8080", "GATEHOUSE_SERVICE_HOST=db.example.com", "GATEHOUSE_SERVICE_HOST=cafe.de", "GATEHOUSE_SERVICE_PORT=http", "GATEHOUSE_PORT_8080_TCP_ADDR=x",
		"GATEHOUSE_PORT_8080=tcp://10.96.0.7:8080", "GATEHOUSE_PORT_8080_TCP_NAME=tcp", "GATEHOUSE_HOST=10.96.0.7", "GATEHOUSE_SERVICE=10.96.0.7",
	} {
		if _, err := parse("identity", &cli, nil, []string{slip}, io.Discard, noExit(t)); err == nil || !strings.Contains(err.Error(), "unknown variable") {
			t.Errorf("%s: %v, want an unknown variable", slip, err)
		}
	}
	var linked struct {
		Port string `name:"port" env:"GATEHOUSE_TEST_PORT" enum:"a,b" default:"a"`
	}
	if _, err := parse("test", &linked, nil, []string{"GATEHOUSE_TEST_PORT=tcp://10.96.0.7:8080"}, io.Discard, noExit(t)); err == nil {
		t.Error("an option that has the name of a link takes any value")
	}
}

func TestParseLeavesOtherProgramsAndGroupsAlone(t *testing.T) {
	var cli program
	env := []string{"GATEHOUSE_GATEWAY_LISTEN=:1", "GATEHOUSE_CONSUL_TOKEN_FILE=x", "GATEHOUSE_TOKEN_ISSUER=x", "GATEHOUSE_POSTGRES_MAX_CONNS=101"}
	if _, err := parse("identity", &cli, []string{"version"}, env, io.Discard, noExit(t)); err != nil {
		t.Fatalf("a group of a command that was not chosen, or a name of another program, stops the start: %v", err)
	}
}

// A file is the secret, blanks included, and at most one line end.
func TestParseReadsSecretsFromFiles(t *testing.T) {
	for content, want := range map[string]string{
		"s3cret": "s3cret", "s3cret\n": "s3cret", "s3cret\r\n": "s3cret", "\t s3 cret \u00a0\n": "\t s3 cret \u00a0", "s3cret\n\n": "s3cret\n",
	} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var cli program
		if _, err := parse("identity", &cli, nil, []string{"GATEHOUSE_POSTGRES_URL_FILE=" + path}, io.Discard, noExit(t)); err != nil {
			t.Fatal(err)
		}
		if got := cli.Serve.Store.URL.Reveal(); got != want {
			t.Errorf("%q is read as %q", content, got)
		}
	}
	var cli program
	if _, err := parse("identity", &cli, nil, []string{"GATEHOUSE_POSTGRES_URL=s3cret"}, io.Discard, noExit(t)); err != nil || cli.Serve.Store.URL.Reveal() != "s3cret" {
		t.Errorf("the variable: %v", err)
	}
}

// A secret that came from a file can be read again, for who must follow a change; one from elsewhere
// stays what it was.
func TestASecretFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	var file, variable program
	for cli, pair := range map[*program]string{&file: "GATEHOUSE_POSTGRES_URL_FILE=" + path, &variable: "GATEHOUSE_POSTGRES_URL=given"} {
		if _, err := parse("identity", cli, nil, []string{pair}, io.Discard, noExit(t)); err != nil {
			t.Fatal(err)
		}
	}
	write("second\n")
	again, err := file.Serve.Store.URL.Again()
	if err != nil || again.Reveal() != "second" || file.Serve.Store.URL.Reveal() != "first" {
		t.Errorf("the file's: %v", err)
	}
	if again, err = again.Again(); err != nil || again.Reveal() != "second" {
		t.Errorf("once more: %v", err)
	}
	if same, err := variable.Serve.Store.URL.Again(); err != nil || same.Reveal() != "given" {
		t.Errorf("the variable's: %v", err)
	}
	write("")
	if _, err := file.Serve.Store.URL.Again(); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty file: %v", err)
	}
}

func TestHelpNamesTheVariables(t *testing.T) {
	var out bytes.Buffer
	var cli program
	code := -1
	_, _ = parse("identity", &cli, []string{"serve", "--help"}, nil, &out, func(c int) { code = c })
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"($GATEHOUSE_POSTGRES_URL[_FILE])", "Most connections. ($GATEHOUSE_POSTGRES_MAX_CONNS)"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), want) {
			t.Errorf("help does not say %q:\n%s", want, &out)
		}
	}
}

func TestNamesListsTheTwins(t *testing.T) {
	names, err := Names("identity", &program{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GATEHOUSE_LOG_LEVEL", "GATEHOUSE_STORE_ON", "GATEHOUSE_POSTGRES_URL", "GATEHOUSE_POSTGRES_URL_FILE",
		"GATEHOUSE_POSTGRES_MAX_CONNS", "GATEHOUSE_STORE_LIFE",
	}
	if !slices.Equal(names, want) {
		t.Fatalf("names %v", names)
	}
}
