package cli_test

import (
	"strings"
	"testing"
)

// What cannot be done is one sentence, before anything is written.
func TestSecretsRefuse(t *testing.T) {
	nomad := "NOMAD_ADDR=http://127.0.0.1:1"
	for name, c := range map[string]struct {
		environ []string
		args    []string
		want    string
	}{
		"no Nomad":            {nil, []string{"ensure"}, "set NOMAD_ADDR"},
		"nobody there":        {[]string{nomad}, []string{"ensure"}, "does not answer at http://127.0.0.1:1"},
		"half a certificate":  {[]string{nomad}, []string{"ensure", "--tls-cert", "x"}, "--tls-key"},
		"no certificate":      {[]string{nomad}, []string{"ensure", "--tls-cert", "/none", "--tls-key", "/none"}, "the certificate cannot be read"},
		"an unknown name":     {[]string{nomad}, []string{"rotate", "NOBODYS"}, "AUDIT_OWNER_PASSWORD"},
		"a certificate's":     {[]string{nomad}, []string{"rotate", "GATEHOUSE_GATEWAY_TLS_KEY"}, "--tls-cert"},
		"no previous value":   {[]string{nomad}, []string{"rotate", "--finish", "AUDIT_PASSWORD"}, "no previous value"},
		"the superuser's own": {[]string{nomad}, []string{"rotate", "POSTGRES_PASSWORD"}, "by hand"},
	} {
		code, out, problem := run(t, c.environ, append([]string{"secrets"}, c.args...)...)
		if code == 0 || out != "" || strings.Count(problem, "\n") != 1 || !strings.Contains(problem, c.want) {
			t.Errorf("%s: exit code %d, %q, %q, want one sentence with %q", name, code, out, problem, c.want)
		}
	}
}
