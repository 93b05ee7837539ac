// Package consultest runs a real Consul for tests. Tests of any package may import it.
package consultest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/testutil"
)

// Server is a running Consul.
type Server struct {
	*api.Client
	Program string // path of the consul program
	HTTP    string // address of the API
	GRPC    string // address that sidecars are told
}

// attempts is how often a server is started: the library gives one two seconds to answer, in which
// a busy machine may not have begun it.
const attempts = 10

// New starts a Consul server with ACLs off, so that what no intention denies is allowed, on free loopback ports. It stops with the
// test. A test without the consul program fails: what it proves cannot be proved without.
func New(t testing.TB) *Server {
	t.Helper()
	program, err := Find("consul")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	t.Setenv("PATH", filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH")) // testutil looks there
	var server *testutil.TestServer
	for range attempts {
		if server, err = testutil.NewTestServerConfigT(t, func(c *testutil.TestServerConfig) {
			c.LogLevel = "error"
			c.Stdout, c.Stderr = io.Discard, io.Discard
			c.Connect = map[string]any{"enabled": true}
		}); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("start consul: %v", err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	config := api.DefaultConfig()
	config.Address = server.HTTPAddr
	client, err := api.NewClient(config)
	if err != nil {
		t.Fatalf("consul client: %v", err)
	}
	return &Server{Client: client, Program: program, HTTP: server.HTTPAddr, GRPC: server.GRPCAddr}
}

// Find returns the path of a program of the platform: from .bin beside the go.mod above the working directory, else from PATH.
func Find(name string) (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			break
		}
		if folder == filepath.Dir(folder) {
			break
		}
		folder = filepath.Dir(folder)
	}
	if program, err := exec.LookPath(filepath.Join(folder, ".bin", name)); err == nil {
		return program, nil
	}
	return exec.LookPath(name)
}
