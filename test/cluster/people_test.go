package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/visitor"
)

// administrator makes one, as an operator does who has none left, but without a command in an
// allocation (docs/versions.md, traps).
func (c *cluster) administrator(t *testing.T, l *load) *person {
	t.Helper()
	client := c.nomad(t)
	v, _, err := client.Variables().Read("nomad/jobs/auth/auth/serve", nil)
	check.NoError(t, err)
	auth := c.inside(t, c.allocations(t, client, "auth")[0])
	cmd := c.command(t, "nsenter", "--net=/proc/"+strconv.Itoa(auth.pid)+"/ns/net", filepath.Join(c.root, ".bin", "auth"), "recover")
	cmd.Env = []string{"GATEHOUSE_POSTGRES_URL=" + v.Items["GATEHOUSE_POSTGRES_URL"]}
	secret, err := cmd.Output()
	if err != nil {
		t.Fatalf("auth recover: %v\n%s", err, stderrOf(err))
	}
	p := &person{email: fmt.Sprintf("administrator-%d@example.com", time.Now().UnixNano())}
	p.id = field(l.must(t, http.MethodPost, "/api/v1/auth/bootstrap", "", `{"secret": %q, "email": %q, "password": %q}`, strings.TrimSpace(string(secret)), p.email, password), "id")
	p.signedIn(l.must(t, http.MethodPost, "/api/v1/auth/sign-in", "", `{"email": %q, "password": %q}`, p.email, password))
	check.Within(t, time.Minute, "the right travels to Authz", func() error {
		if status, body := l.ask(http.MethodGet, "/api/v1/clients", *p.access.Load(), ""); status != http.StatusOK {
			return errors.New(body)
		}
		return nil
	})
	return p
}

// as is the environment in which the command is somebody's, and trusts the public door.
func (c *cluster) as(p *person) []string {
	return []string{"GATEHOUSE_CLI_EMAIL=" + p.email, "GATEHOUSE_CLI_PASSWORD=" + password, "SSL_CERT_FILE=" + c.value("CURL_CA_BUNDLE")}
}

// registered is an OAuth client.
type registered struct {
	Client struct {
		ID string `json:"id"`
	} `json:"client"`
	Secret string `json:"secret"`
}

// register has an administrator register a client.
func (c *cluster) register(t *testing.T, as *person, args ...string) (r registered) {
	t.Helper()
	create := c.command(t, filepath.Join(c.root, ".bin", "gatehouse"), append([]string{"clients", "create", "-o", "json"}, args...)...)
	create.Env = append(create.Env, c.as(as)...)
	said, err := create.Output()
	if err != nil || json.Unmarshal(said, &r) != nil {
		t.Fatalf("clients create: %v\n%s%s", err, said, stderrOf(err))
	}
	return r
}

// visitor is somebody with a browser, who trusts the public door.
func (c *cluster) visitor(t *testing.T) *visitor.Visitor {
	t.Helper()
	return visitor.New(t, c.door(t).Transport)
}

// stderrOf is what a command said that has failed.
func stderrOf(err error) []byte {
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return failed.Stderr
	}
	return nil
}
