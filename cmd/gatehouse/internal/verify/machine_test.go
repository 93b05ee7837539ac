package verify

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/platform"
	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/state"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/supervise"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// machineOf is a platform whose agent runs, with what its state folder holds; nothing else runs.
func machineOf(t *testing.T, def *mesh.Definition) Machine {
	t.Helper()
	o := consultest.NewOneMachine(t)
	_, port, err := net.SplitHostPort(o.XDS)
	if err != nil {
		t.Fatal(err)
	}
	xds, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Prepare(); err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{
		platform.ManagementToken: o.Token, platform.ConsulCA: o.Certificates.CA,
		platform.ConsulClientCert: o.Certificates.ClientCert, platform.ConsulClientKey: o.Certificates.ClientKey,
	}
	for _, name := range callers(def) {
		token, _, err := o.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "x-" + name}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		secrets[platform.TokenName(name)] = token.SecretID
	}
	for name, secret := range secrets {
		if err := dir.WriteSecret(name, secret); err != nil {
			t.Fatal(err)
		}
	}
	self, err := supervise.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return Machine{Dir: dir, Record: state.Record{
		Supervisor: self, Consul: o.HTTPS, Offset: xds - mesh.ConsulXDSPort, ServicePrefix: "x-", Scale: mesh.Scale{"identity": 2},
		Processes: []state.Process{{Name: state.ConsulProcess, Identity: self}},
	}}
}

// Of a machine every instance is asked, with certificates for each program's own token.
func TestSurveyOfAMachine(t *testing.T) {
	def := meshtest.Definition(t)
	m := machineOf(t, def)
	g, release, err := m.survey(t.Context(), def)
	if err != nil {
		t.Fatal(err)
	}
	if err := release(); err != nil || len(g.untried) != 0 {
		t.Errorf("%v, untried %q", err, g.untried)
	}
	var found []string
	for _, one := range g.callees {
		found = append(found, one.id)
	}
	if want := []string{"x-gateway", "x-identity", "x-identity-2", "x-auth", "x-authz", "x-audit", "x-postgres"}; !slices.Equal(found, want) {
		t.Errorf("instances %q, want %q", found, want)
	}
	if len(g.own) != 6 || len(g.tokens) != 6 || len(g.callers) != 6 || len(g.doors) != 1 || g.foreign("auth") == g.tokens["auth"] {
		t.Errorf("%d certificates, %d tokens, %d sidecars, %d doors", len(g.own), len(g.tokens), len(g.callers), len(g.doors))
	}
	if _, _, err := m.look(t.Context(), def, g); err == nil || !strings.Contains(err.Error(), "ask gateway's sidecar for its version") {
		t.Errorf("no sidecar runs, and it is said: %v", err)
	}
	if err := os.Remove(m.Dir.SecretPath(platform.TokenName("auth"))); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), m, def); err == nil || !strings.Contains(err.Error(), "run this as the user that runs the platform") {
		t.Errorf("without a token: %v", err)
	}
}
