package mesh_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// A program registers with an agent that asks for client certificates, and only with one of its CA.
func TestRegistrationOverHTTPS(t *testing.T) {
	o := consultest.NewOneMachine(t)
	token, _, err := o.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "callee"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := mesh.Config{ConsulAddress: o.HTTPS, ConsulCA: o.CAFile, ConsulCert: o.CertFile, ConsulKey: o.KeyFile, ConsulToken: config.NewSecret(token.SecretID)}
	noCertificate := good
	noCertificate.ConsulCert, noCertificate.ConsulKey = "", ""
	plain := noCertificate
	plain.ConsulCA = ""
	for name, c := range map[string]struct {
		config mesh.Config
		want   string
	}{
		"with certificate and token": {good, ""},
		"without a certificate":      {noCertificate, "certificate required"},
		"without TLS":                {plain, "HTTP request to an HTTPS server"},
	} {
		client, err := mesh.NewClient(c.config)
		if err != nil {
			t.Fatal(err)
		}
		err = client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "callee"})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	missing := good
	missing.ConsulKey = "/nonexistent.key"
	if _, err := mesh.NewClient(missing); err == nil {
		t.Error("a key that is not there is no error")
	}
}
