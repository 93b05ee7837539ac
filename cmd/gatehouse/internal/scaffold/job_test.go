package scaffold

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse/gatehouse/consul"
)

// The job of a new service is what that of Identity would be, and follows its changes.
func TestTheJobOfANewServiceLooksLikeTheOthers(t *testing.T) {
	def, err := consul.Definition()
	if err != nil {
		t.Fatal(err)
	}
	identity, err := def.Program("identity")
	if err != nil {
		t.Fatal(err)
	}
	s := service{def: def, Name: identity.Name, Title: "Identity: users and organizations", Port: identity.Port, OpsPort: identity.OpsPort}
	got, err := s.execute("template/nomad/jobs/NAME.nomad.hcl.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../../../nomad/jobs/identity.nomad.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the template differs from nomad/jobs/identity.nomad.hcl (-job +template):\n%s", diff)
	}
	if _, err := s.Upstream("nobody"); err == nil {
		t.Error("nobody has an upstream")
	}
}
