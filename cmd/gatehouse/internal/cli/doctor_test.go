package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/gatehouse/gatehouse/cmd/gatehouse/internal/doctor"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/consultest"
)

// What is in the way is a line and exit code 1; what could not be asked is 3, where nothing else is.
func TestDoctor(t *testing.T) {
	o := consultest.NewOneMachine(t)
	environ := []string{
		"CONSUL_HTTP_ADDR=https://" + o.HTTPS, "CONSUL_HTTP_TOKEN=" + o.Token, "CONSUL_CACERT=" + o.CAFile,
		"CONSUL_CLIENT_CERT=" + o.CertFile, "CONSUL_CLIENT_KEY=" + o.KeyFile,
	}
	ask := func(args ...string) (int, string, string) {
		return run(t, environ, append([]string{"doctor", "--state", filepath.Join(t.TempDir(), "none"), "--target", "environment"}, args...)...)
	}
	_, _, err := o.ConfigEntries().Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "x-postgres", Protocol: "http"}, nil)
	check.NoError(t, err)
	code, out, problem := ask("--prefix", "x-")
	if code != 1 || problem != "" || !strings.HasPrefix(out, "DANGER   entries-foreign: Consul's service-defaults/x-postgres is not Gatehouse's") || !strings.Contains(out, "Fix: choose another prefix than x-") {
		t.Errorf("%d %q\n%s", code, problem, out)
	}
	code, out, problem = ask("--prefix", "y-", "-o", "json")
	var report doctor.Report
	if err := json.Unmarshal([]byte(out), &report); code != 3 || problem != "" || err != nil || report.Count(doctor.Danger) != 0 || report.Count(doctor.Untried) == 0 || report.Prefix != "y-" {
		t.Errorf("%d %q %v\n%s", code, problem, err, out)
	}
}

// What an operator gets wrong is one sentence, before anything is asked.
func TestDoctorRefusals(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "none")
	closed := []string{"CONSUL_HTTP_ADDR=127.0.0.1:1"}
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"nothing runs":   {nil, nil, "gatehouse up"},
		"Consul is away": {closed, nil, "connection refused"},
		"no prefix":      {closed, []string{"--prefix", "x"}, "GATEHOUSE_MESH_SERVICE_PREFIX"},
	} {
		code, out, problem := run(t, c.environ, append(append([]string{"doctor"}, c.args...), "--state", nowhere)...)
		if code != 1 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}
