package consultest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/sdk/freeport"

	"github.com/gatehouse/gatehouse/consul/agent"
)

// OneMachine is a running agent as `gatehouse up` configures it.
type OneMachine struct {
	*api.Client // with the client certificate and the management token

	Certificates agent.Certificates
	CAFile       string
	CertFile     string // the client's
	KeyFile      string // the client's
	Token        string // for management
	HTTPS        string // host:port
	XDS          string // host:port
	RPC          string // host:port
	Gossip       string // host:port
}

// NewOneMachine starts the agent of the one-machine mode on free loopback ports and waits until it
// is its own leader. It stops with the test. changes are pairs of texts of its configuration: what
// is there and what takes its place, to open what is closed.
func NewOneMachine(t *testing.T, changes ...string) *OneMachine {
	t.Helper()
	program, err := Find("consul")
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	certificates, err := agent.NewCertificates(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	folder, ports := t.TempDir(), freeport.GetN(t, 4)
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := &OneMachine{
		Certificates: certificates, Token: uuid.NewString(), CAFile: file("ca.pem", certificates.CA),
		CertFile: file("client.pem", certificates.ClientCert), KeyFile: file("client.key", certificates.ClientKey),
		HTTPS: loopback(ports[0]), XDS: loopback(ports[1]), Gossip: loopback(ports[2]), RPC: loopback(ports[3]),
	}
	rendered, err := agent.OneMachine{
		NodeName: "gatehouse", DataDir: filepath.Join(folder, "data"), HTTPSPort: ports[0], XDSPort: ports[1], SerfPort: ports[2], ServerPort: ports[3],
		CAFile: o.CAFile, CertFile: file("server.pem", certificates.ServerCert), KeyFile: file("server.key", certificates.ServerKey),
		GossipKey: "aPuGh+5UDskRAbkLaXRzFoSOcSM+5vAK+NEYOWHJH7w=", ManagementToken: o.Token,
	}.Render()
	if err != nil {
		t.Fatal(err)
	}
	hcl := string(rendered)
	for i := 0; i+1 < len(changes); i += 2 {
		if !strings.Contains(hcl, changes[i]) {
			t.Fatalf("the configuration has no %q", changes[i])
		}
		hcl = strings.Replace(hcl, changes[i], changes[i+1], 1)
	}
	cmd := exec.Command(program, "agent", "-config-file", file("one-machine.hcl", hcl))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	o.Client, err = api.NewClient(&api.Config{
		Address: o.HTTPS, Scheme: "https", Token: o.Token, TLSConfig: api.TLSConfig{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.await(t)
	return o
}

// await waits for what the platform waits for before it goes on.
func (o *OneMachine) await(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	options := (&api.QueryOptions{}).WithContext(ctx)
	for {
		_, _, err := o.ACL().TokenReadSelf(options)
		if err == nil {
			_, _, err = o.Agent().ConnectCARoots(options)
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the agent does not start: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
