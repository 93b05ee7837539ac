// Package nomadtest runs a real Nomad server for tests: without a client, so that it needs no root
// and runs no jobs, and with ACLs. Tests of any package may import it.
package nomadtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/freeport"
	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// Server is a running Nomad server.
type Server struct {
	*api.Client        // with the management token
	Address     string // of the API, a URL
	Token       string // for management
}

const configuration = `
data_dir             = %q
bind_addr            = "127.0.0.1"
disable_update_check = true
log_level            = "ERROR"

ports {
  http = %d
  rpc  = %d
  serf = %d
}

advertise {
  http = "127.0.0.1"
  rpc  = "127.0.0.1"
  serf = "127.0.0.1"
}

server {
  enabled          = true
  bootstrap_expect = 1
}

acl {
  enabled = true
}
`

// New starts a Nomad server on free loopback ports. It stops with the test. A test without the nomad
// program fails: what it proves cannot be proved without. changes are pairs of texts of its
// configuration: what is there and what takes its place.
func New(t testing.TB, changes ...string) *Server {
	t.Helper()
	program, err := consultest.Find("nomad")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	folder, ports := t.TempDir(), freeport.GetN(t, 3)
	file := filepath.Join(folder, "server.hcl")
	text := fmt.Sprintf(configuration, filepath.Join(folder, "data"), ports[0], ports[1], ports[2])
	for i := 0; i+1 < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("the configuration has no %q", changes[i])
		}
		text = strings.Replace(text, changes[i], changes[i+1], 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "agent", "-config="+file)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + folder}, t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatalf("start nomad: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it is killed below
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
	})
	s := &Server{Address: fmt.Sprintf("http://127.0.0.1:%d", ports[0])}
	s.bootstrap(t)
	return s
}

// bootstrap waits for a leader and takes the first token.
func (s *Server) bootstrap(t testing.TB) {
	t.Helper()
	client, err := api.NewClient(&api.Config{Address: s.Address, Namespace: api.DefaultNamespace, TLSConfig: &api.TLSConfig{}})
	if err != nil {
		t.Fatal(err)
	}
	check.Within(t, time.Minute, "Nomad has a leader and gives out its first token", func() error {
		token, _, err := client.ACLTokens().Bootstrap(nil)
		if err == nil {
			s.Token = token.SecretID
		}
		if err != nil && strings.Contains(err.Error(), "ACL support disabled") {
			return nil // a change has switched them off
		}
		return err
	})
	client.SetSecretID(s.Token)
	check.Within(t, time.Minute, "Nomad's keyring seals variables", func() error {
		_, _, err := client.Variables().Update(&api.Variable{Path: "nomadtest", Items: api.VariableItems{"ready": "yes"}}, nil)
		return err
	})
	s.Client = client
}

// Environ is how `nomad` and gatehouse find the server, with a token.
func (s *Server) Environ(token string) []string {
	return []string{"NOMAD_ADDR=" + s.Address, "NOMAD_TOKEN=" + token}
}
