package cli_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/consul/agent"
	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/database"
	"github.com/gatehouse/gatehouse/internal/pg/pgserver"
	"github.com/gatehouse/gatehouse/internal/plan"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

// root is the checkout.
const root = "../../../.."

// What the page on installing says, word for word, installs a site: the rules, the secrets, the
// database and the jobs are there afterwards, and a second time changes nothing.
func TestInstall(t *testing.T) {
	page, err := os.ReadFile(root + "/docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	var script string
	blocks := map[string]int{}
	for _, block := range regexp.MustCompile("(?ms)^```sh (\\w+)\n(.*?)^```$").FindAllStringSubmatch(string(page), -1) {
		blocks[block[1]]++
		if block[1] == "run" {
			script += block[2]
		}
	}
	if blocks["run"] != 4 || blocks["terraform"] != 1 || len(blocks) != 2 || strings.Count(string(page), "```") != 10 {
		t.Fatalf("the blocks are %v", blocks)
	}
	s := newSite(t)
	var made []string
	for range 2 {
		if err := os.RemoveAll(s.folder + "/site"); err != nil { // the operator's own, made anew
			t.Fatal(err)
		}
		if out, err := s.shell(t, script); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		made = append(made, s.made(t))
	}
	if made[0] != made[1] {
		t.Errorf("the second time changes\n%s\nto\n%s", made[0], made[1])
	}
	if out, err := s.shell(t, "GATEHOUSE_MESH_SERVICE_PREFIX=$prefix gatehouse mesh diff"); err != nil || !strings.Contains(out, "are as the definition says") {
		t.Errorf("the entries: %v\n%s", err, out)
	}
}

// installing is a Consul, a Nomad and a PostgreSQL server of somebody who installs, and their shell.
type installing struct {
	consul *consultest.OneMachine
	nomad  *nomadtest.Server
	server *pgserver.Server
	folder string
	path   string
}

func newSite(t *testing.T) *installing {
	t.Helper()
	s := &installing{consul: consultest.NewOneMachine(t), nomad: nomadtest.New(t), folder: t.TempDir(), path: t.TempDir()}
	s.server, _ = pgtest.Server(t)
	theirs := registry.Login(s.nomad.Address+"/.well-known/jwks.json", "")
	theirs.Description = "the site's"
	if _, _, err := s.consul.ACL().AuthMethodCreate(theirs, nil); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	writeProgram(t, s.path+"/gatehouse", `exec env `+commandVariable+`=environ "`+self+`" "$@"`)
	for _, program := range []string{"consul", "nomad"} {
		found, err := consultest.Find(program)
		if err != nil {
			t.Fatalf("%v: run make tools", err)
		}
		if found, err = filepath.Abs(found); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(found, filepath.Join(s.path, program)); err != nil {
			t.Fatal(err)
		}
	}
	checkout, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	// The page is for a shell in the checkout, which stays as it is.
	for _, folder := range []string{"jobs", "vars"} {
		if err := os.MkdirAll(s.folder+"/nomad", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(checkout+"/nomad/"+folder, s.folder+"/nomad/"+folder); err != nil {
			t.Fatal(err)
		}
	}
	authority, err := agent.NewAuthority("Test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := authority.Issue("gateway.test", []string{"gateway.test"})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"gateway.pem": cert, "gateway-key.pem": key, "admin.url": s.server.SuperURL("postgres").Reveal()} {
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// shell runs lines with the values of the page.
func (s *installing) shell(t *testing.T, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = s.folder
	cmd.Env = append(s.nomad.Environ(s.nomad.Token), "PATH="+s.path+":"+os.Getenv("PATH"), "HOME="+s.folder,
		"CONSUL_HTTP_ADDR=https://"+s.consul.HTTPS, "CONSUL_HTTP_TOKEN="+s.consul.Token,
		"CONSUL_CACERT="+s.consul.CAFile, "CONSUL_CLIENT_CERT="+s.consul.CertFile, "CONSUL_CLIENT_KEY="+s.consul.KeyFile,
		"GATEHOUSE_CLI_CLUSTER="+s.path+"/none", "environment=production", "prefix=gatehouse-", "certificate=gateway.pem", "key=gateway-key.pem", "admin=admin.url",
		"database="+net.JoinHostPort("db.test", "5432"), "database_ca=/etc/ssl/certs/ca-certificates.crt")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// made is what was installed: names and values, and whether the roles can sign in by them.
func (s *installing) made(t *testing.T) string {
	t.Helper()
	var made []string
	var jobs, programs []string
	listed, _, err := s.nomad.Jobs().List(&api.QueryOptions{Namespace: registry.NomadNamespace})
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range listed {
		jobs = append(jobs, job.ID)
	}
	for _, p := range plan.Of(meshtest.Definition(t)).Programs {
		programs = append(programs, p.Name)
		secrets, err := s.shell(t, "NOMAD_NAMESPACE=gatehouse nomad var get -out table nomad/jobs/"+p.Name+"/"+p.Name+"/serve | grep -v -i -e modify -e create")
		if err != nil {
			t.Errorf("%s: %v\n%s", p.Name, err, secrets)
		}
		made = append(made, secrets)
	}
	if !slices.Equal(slices.Sorted(slices.Values(jobs)), slices.Sorted(slices.Values(programs))) {
		t.Errorf("the jobs are %v, want %v", jobs, programs)
	}
	variable, _, err := s.nomad.Variables().Read("nomad/jobs/postgres/postgres/prepare", &api.QueryOptions{Namespace: registry.NomadNamespace})
	if err != nil {
		t.Fatal(err)
	}
	roles, _ := passwords(t)
	for _, role := range roles {
		password := config.NewSecret(variable.Items[database.PasswordVariable(role)])
		if err := database.Ask(t.Context(), s.server.URL(role, password, plan.DatabaseName)); err != nil {
			t.Errorf("%s cannot sign in: %v", role, err)
		}
	}
	rules, _, err := s.consul.ACL().BindingRuleList(registry.AuthMethod, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		made = append(made, rule.ID, rule.BindName, rule.Selector)
	}
	return strings.Join(made, "\n")
}
