//go:build clients

package openid_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// libraries is where the programs are that strangers' libraries are tried with.
const libraries = "../../../../test/clients/libraries"

// what each library has to complete. A public client cannot introspect.
var steps = []string{"discovery", "code", "userinfo", "refresh", "introspection", "revocation", "logout"}

// Libraries that know nothing but the standards, pinned by lock files, complete all that they have,
// over https with the test's own certificate and without a special case. Go's are in TestGoOIDC. A
// missing runtime is a failure. `make test-clients` runs it.
func TestStrangersLibraries(t *testing.T) {
	run(t, libraries, nil, "npm", "ci", "--no-audit", "--no-fund")
	python := filepath.Join(t.TempDir(), "venv")
	run(t, libraries, nil, "python3", "-m", "venv", python)
	python = filepath.Join(python, "bin", "python")
	run(t, libraries, nil, python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", "requirements.txt")
	for name, program := range map[string][]string{
		"openid-client 6": {"node", "openid-client-6.mjs"},
		"openid-client 5": {"node", "openid-client-5.mjs"},
		"oauth4webapi":    {"node", "oauth4webapi.mjs"},
		"authlib":         {python, "authlib_client.py"},
	} {
		for kind, secret := range map[string]string{"public": "", "confidential": "secret"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				done := strings.Fields(run(t, libraries, stranger(t, secret), program[0], program[1:]...))
				want := slices.DeleteFunc(slices.Clone(steps), func(step string) bool { return secret == "" && step == "introspection" })
				if !slices.Equal(done, want) {
					t.Errorf("completed %v, want %v", done, want)
				}
			})
		}
	}
}

// stranger publishes a provider with a client and a signed-in browser, and returns the environment
// that tells of them.
func stranger(t *testing.T, secret string) []string {
	t.Helper()
	p := publish(t)
	p.now = time.Now() // libraries go by the machine's clock
	p.refresh(t)
	c := p.registered(t, client.Client{
		ID: client.NewID(uuid.NewString()), Public: secret == "", Scopes: p.world.client.Scopes, RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{bye},
		IDTokenAlgorithm: client.RS256,
	})
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.certificate}), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"ISSUER=" + p.issuer, "CLIENT_ID=" + c.ID, "CLIENT_SECRET=" + secret, "REDIRECT_URI=" + callback, "POST_LOGOUT_URI=" + bye,
		"COOKIE=" + session.CookieName + "=" + p.cookie, "NODE_EXTRA_CA_CERTS=" + authority, "REQUESTS_CA_BUNDLE=" + authority,
	}
}

// run runs a program to its end and returns what it says.
func run(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	var said, errors strings.Builder
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &said, &errors, append(os.Environ(), env...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, said.String(), errors.String())
	}
	return said.String()
}
