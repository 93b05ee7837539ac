package doctor_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/registry"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

const prefix request.ServicePrefix = "gatehouse-"

// newSite is a Consul as Gatehouse wants it, but for the changes of its configuration, and without
// Nomad.
func newSite(t *testing.T, changes ...string) (*consultest.OneMachine, *doctor.Site) {
	t.Helper()
	o := consultest.NewOneMachine(t, changes...)
	anonymous, err := registry.NewClient(o.HTTPS, registry.Config{CA: o.CAFile, Cert: o.CertFile, Key: o.KeyFile})
	check.NoError(t, err)
	def := meshtest.Definition(t)
	return o, &doctor.Site{
		Name: "the site", Consul: o.Client, Anonymous: anonymous, Definition: def, Entries: registry.ConfigEntries(def, prefix),
		Prefix: prefix, AuthMethod: registry.AuthMethod,
	}
}

// found are the findings of one check.
func found(t *testing.T, site *doctor.Site, id string) []doctor.Finding {
	t.Helper()
	report, err := doctor.Examine(t.Context(), site)
	check.NoError(t, err)
	var all []doctor.Finding
	for _, f := range report.Findings {
		if f.ID == id {
			all = append(all, f)
		}
	}
	return all
}

// wants ends the test unless the check has exactly this finding, with these texts in it.
func wants(t *testing.T, site *doctor.Site, id string, level doctor.Level, texts ...string) doctor.Finding {
	t.Helper()
	all := found(t, site, id)
	if len(all) != 1 || all[0].Level != level {
		t.Fatalf("%s: %+v, want one of level %s", id, all, level)
	}
	for _, text := range texts {
		if !strings.Contains(all[0].What+"; "+all[0].Why+"; "+all[0].Fix, text) {
			t.Errorf("%s: %+v, want %q", id, all[0], text)
		}
	}
	if level != doctor.OK && level != doctor.Untried && (all[0].Why == "" || all[0].Fix == "") {
		t.Errorf("%s: %+v does not say why or how to fix it", id, all[0])
	}
	return all[0]
}

// environ is how `consul` and `nomad setup consul` find the Consul.
func environ(o *consultest.OneMachine) []string {
	return append(os.Environ(), "CONSUL_HTTP_ADDR=https://"+o.HTTPS, "CONSUL_HTTP_TOKEN="+o.Token, "CONSUL_CACERT="+o.CAFile,
		"CONSUL_CLIENT_CERT="+o.CertFile, "CONSUL_CLIENT_KEY="+o.KeyFile)
}

// does runs what a finding tells the operator to do.
func does(t *testing.T, o *consultest.OneMachine, command string) {
	t.Helper()
	program, err := consultest.Find("consul")
	check.NoError(t, err)
	cmd := exec.Command("sh", "-ec", command)
	cmd.Env = append(environ(o), "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// stock sets up Consul for Nomad's workloads as Nomad's own command does.
func stock(t *testing.T, o *consultest.OneMachine, server *nomadtest.Server) {
	t.Helper()
	program, err := consultest.Find("nomad")
	check.NoError(t, err)
	cmd := exec.Command(program, "setup", "consul", "-y", "-jwks-url", server.Address+"/.well-known/jwks.json")
	cmd.Env = append(environ(o), server.Environ(server.Token)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nomad setup consul: %v\n%s", err, out)
	}
}

// scheduler signs the identities of workloads as Nomad does.
type scheduler struct {
	key    *rsa.PrivateKey
	server *httptest.Server // of its keys
	empty  atomic.Bool      // it has none
}

func newScheduler(t *testing.T) *scheduler {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	check.NoError(t, err)
	s := &scheduler{key: key}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
		keys := []any{map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": number(key.N), "e": number(big.NewInt(int64(key.E))),
		}}
		if s.empty.Load() {
			keys = nil
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	}))
	t.Cleanup(s.server.Close)
	return s
}

// workload is a job's that logs in.
type workload struct{ namespace, job, service string }

// login is the token that Consul gives to a workload, nil when it refuses.
func (s *scheduler) login(t *testing.T, o *consultest.OneMachine, w workload) *api.ACLToken {
	t.Helper()
	claims := jwt.MapClaims{"aud": []string{"consul.io"}, "nomad_namespace": w.namespace, "nomad_job_id": w.job, "exp": time.Now().Add(time.Minute).Unix()}
	if w.service != "" {
		claims["nomad_service"] = w.service
	}
	signed := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	signed.Header["kid"] = "1"
	bearer, err := signed.SignedString(s.key)
	check.NoError(t, err)
	token, _, err := o.ACL().Login(&api.ACLLoginParams{AuthMethod: registry.AuthMethod, BearerToken: bearer}, nil)
	if err != nil {
		if !strings.Contains(err.Error(), "403") && !strings.Contains(err.Error(), "invalid") {
			t.Fatalf("%+v: %v", w, err)
		}
		return nil
	}
	return token
}

// is reports whether Consul lets who has the token be the service.
func is(t *testing.T, o *consultest.OneMachine, token *api.ACLToken, service string) bool {
	t.Helper()
	files, err := api.SetupTLSConfig(&api.TLSConfig{CAFile: o.CAFile, CertFile: o.CertFile, KeyFile: o.KeyFile})
	check.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: files, DisableKeepAlives: true}}
	ask := strings.NewReader(`[{"Resource": "service", "Access": "write", "Segment": "` + service + `"}]`)
	request, err := http.NewRequest(http.MethodPost, "https://"+o.HTTPS+"/v1/internal/acl/authorize", ask)
	check.NoError(t, err)
	request.Header.Set("X-Consul-Token", token.SecretID)
	response, err := client.Do(request)
	check.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	var answer []struct{ Allow bool }
	check.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	return len(answer) == 1 && answer[0].Allow
}
