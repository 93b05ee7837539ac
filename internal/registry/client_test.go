package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/internal/config"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// A program registers with an agent that asks for client certificates, and only with one of its CA.
func TestRegistrationOverHTTPS(t *testing.T) {
	o := consultest.NewOneMachine(t)
	token, _, err := o.ACL().TokenCreate(&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "callee"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := registry.Config{Address: o.HTTPS, CA: o.CAFile, Cert: o.CertFile, Key: o.KeyFile, Token: config.NewSecret(token.SecretID)}
	noCertificate := good
	noCertificate.Cert, noCertificate.Key = "", ""
	plain := noCertificate
	plain.CA = ""
	for name, c := range map[string]struct {
		config registry.Config
		want   string
	}{
		"with certificate and token": {good, ""},
		"without a certificate":      {noCertificate, "certificate required"},
		"without TLS":                {plain, "HTTP request to an HTTPS server"},
	} {
		client, err := registry.NewClient(c.config.Agent(0), c.config)
		if err != nil {
			t.Fatal(err)
		}
		err = client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "callee"})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	missing := good
	missing.Key = "/nonexistent.key"
	if _, err := registry.NewClient(missing.Agent(0), missing); err == nil {
		t.Error("a key that is not there is no error")
	}
}

// What the environment says to the consul program says nothing to ours.
func TestClientSendsOnlyTheConfiguredToken(t *testing.T) {
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Values("X-Consul-Token") }))
	defer server.Close()
	t.Setenv("CONSUL_HTTP_TOKEN", "from the environment")
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
	for token, want := range map[string]string{"": "[]", "ours": "[ours]"} {
		client, err := registry.NewClient(strings.TrimPrefix(server.URL, "http://"), registry.Config{Token: config.NewSecret(token)})
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "x"}); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(sent) != want {
			t.Errorf("token %q is sent as %v", token, sent)
		}
	}
}
