package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/nomadtest"
)

// Where the verbs of the trail's owner cannot run, one sentence says what is missing.
func TestTheTrailsOwnerIsNotThere(t *testing.T) {
	nomad := nomadtest.New(t)
	_, err := nomad.Namespaces().Register(&api.Namespace{Name: "gatehouse"}, nil)
	check.NoError(t, err)
	reader, _, err := nomad.ACLTokens().Create(&api.ACLToken{Name: "nobody", Type: "client", Policies: []string{"none"}}, nil)
	check.NoError(t, err)
	planted := newVictim(t).plant(t)
	check.NoError(t, os.Chmod(planted.Root(), 0o777))
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"nothing runs here":  {[]string{"GATEHOUSE_CLI_STATE=" + filepath.Join(t.TempDir(), "none")}, "name the Nomad of a cluster in NOMAD_ADDR"},
		"a planted folder":   {[]string{"GATEHOUSE_CLI_STATE=" + planted.Root()}, "cannot be used"}, // R88
		"both":               {[]string{"GATEHOUSE_CLI_STATE=" + newVictim(t).plant(t).Root(), "NOMAD_ADDR=http://127.0.0.1:1"}, "unset NOMAD_ADDR"},
		"nobody there":       {[]string{"NOMAD_ADDR=http://127.0.0.1:1"}, "Nomad at http://127.0.0.1:1 did not do it"},
		"the job is not run": {nomad.Environ(nomad.Token), "the task keep of the job audit runs nowhere: `nomad job status audit` says why"},
		"may not":            {nomad.Environ(reader.SecretID), "take one with the policy gatehouse-operator"},
	} {
		for _, verb := range [][]string{{"keep", "--once"}, {"retention", "list"}, {"hold", "list"}, {"erase", "--user", "x", "--reason", "y"}, {"erase", "--help"}} {
			code, out, problem := run(t, c.environ, append([]string{"audit"}, verb...)...)
			if code != 1 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
				t.Errorf("%s: %v: exit code %d, %q, %q, want one sentence with %q", name, verb, code, out, problem, c.want)
			}
		}
	}
}

// On the machine of `up` the program beside the command runs with the owner's URL and nothing else,
// and its exit code is the command's.
func TestTheTrailsOwnerHere(t *testing.T) {
	self, err := os.Executable()
	check.NoError(t, err)
	program := filepath.Join(filepath.Dir(self), "audit") // where go test builds, and removes
	writeProgram(t, program, `echo "$*"; echo "$GATEHOUSE_POSTGRES_URL_FILE $GATEHOUSE_CLI_PASSWORD"; exit 3`)
	t.Cleanup(func() { _ = os.Remove(program) })
	dir := newVictim(t).plant(t)
	code, out, problem := run(t, []string{"GATEHOUSE_CLI_STATE=" + dir.Root(), "GATEHOUSE_CLI_PASSWORD=hunter2"}, "audit", "erase", "--user", "x", "--help")
	want := "erase --user x --help\n" + dir.SecretPath("postgres-audit_owner.url") + " \n"
	if code != 3 || out != want || problem != "" {
		t.Errorf("exit code %d, %q, %q, want 3 and %q", code, out, problem, want)
	}
}
