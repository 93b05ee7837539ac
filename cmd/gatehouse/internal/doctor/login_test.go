package doctor_test

import (
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

// The method that Nomad's own command makes has all that our rules read.
func TestTheStockAuthMethod(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	wants(t, site, "auth-method", doctor.Warning, "no auth method nomad-workloads")
	wants(t, site, "auth-method-keys", doctor.OK)
	stock(t, o, nomadtest.New(t))
	wants(t, site, "auth-method", doctor.OK)
	wants(t, site, "auth-method-keys", doctor.OK)
}

func TestAuthMethodsThatDoNotDo(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	nomad := newScheduler(t)
	for name, c := range map[string]struct {
		change func(*api.ACLAuthMethod)
		text   string
	}{
		"no job id": {func(m *api.ACLAuthMethod) {
			m.Config["ClaimMappings"] = map[string]any{"nomad_namespace": "nomad_namespace", "nomad_service": "nomad_service"}
		}, "the claim nomad_job_id"},
		"another name": {func(m *api.ACLAuthMethod) {
			m.Config["ClaimMappings"] = map[string]any{"nomad_namespace": "ns", "nomad_job_id": "nomad_job_id", "nomad_service": "nomad_service"}
		}, "the claim nomad_namespace"},
		"another audience":  {func(m *api.ACLAuthMethod) { m.Config["BoundAudiences"] = []string{"vault.io"} }, "audience consul.io"},
		"no audience":       {func(m *api.ACLAuthMethod) { delete(m.Config, "BoundAudiences") }, "audience consul.io"},
		"another algorithm": {func(m *api.ACLAuthMethod) { m.Config["JWTSupportedAlgs"] = []string{"ES256"} }, "ES256 alone"},
		"tokens that end":   {func(m *api.ACLAuthMethod) { m.MaxTokenTTL = time.Hour }, "MaxTokenTTL 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			method := registry.Login(nomad.server.URL, "")
			_, _, err := o.ACL().AuthMethodCreate(method, nil)
			check.NoError(t, err)
			t.Cleanup(func() { _, _ = o.ACL().AuthMethodDelete(method.Name, nil) })
			c.change(method)
			_, _, err = o.ACL().AuthMethodUpdate(method, nil)
			check.NoError(t, err)
			wants(t, site, "auth-method", doctor.Danger, c.text)
		})
	}
}

// Consul has taken the method while Nomad answered, which it does no more.
func TestKeysThatAreNotToBeHad(t *testing.T) {
	t.Parallel()
	o, site := newSite(t)
	nomad := newScheduler(t)
	check.NoError(t, registry.WriteLogin(t.Context(), o.Client, site.Definition, prefix, registry.Login(nomad.server.URL, "")))
	wants(t, site, "auth-method-keys", doctor.OK)
	nomad.empty.Store(true)
	wants(t, site, "auth-method-keys", doctor.Danger, "the answer has no keys")
	nomad.server.Close()
	wants(t, site, "auth-method-keys", doctor.Danger, "connection refused", "verify_https_client = false")
}
