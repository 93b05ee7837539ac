package mesh_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse/gatehouse/consul"
	"github.com/gatehouse/gatehouse/internal/mesh"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
)

// The committed sources are of the definition: every call that it allows has a place on both sides.
func TestSourcesOfEveryAllowedCall(t *testing.T) {
	sources, err := consul.Sources()
	if err != nil {
		t.Fatal(err)
	}
	def := meshtest.Definition(t)
	for _, cell := range def.Cells() {
		if !cell.Allowed || cell.Path == "" {
			continue
		}
		method := sources.Methods[cell.Path]
		_, consents := method.Consent(cell.Caller)
		declares := sources.Programs[cell.Caller].Said[cell.Path] != ""
		if routed := def.IsEdge(cell.Caller) && method.Route != ""; !routed && (!declares || !consents) {
			t.Errorf("%s: declared %v, consented %v", cell, declares, consents)
		}
	}
	if _, ok := sources.Methods["/gatehouse.authz.v1.AuthzService/WriteRelationships"].Consent("audit"); ok {
		t.Error("a program that is not named is consented to")
	}
}

// A running program knows the files only.
func TestSourcesOfLinkedContracts(t *testing.T) {
	s := mesh.SourcesOf(meshtest.Contract(t), "proto")
	if got := s.Programs["identity"].Calls; got != "proto/gatehouse/identity/v1/identity.proto" {
		t.Errorf("the calls of identity are at %q", got)
	}
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := mesh.DecodeSources(bytes.NewReader(text))
	if diff := cmp.Diff(s, read, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := mesh.DecodeSources(strings.NewReader("{")); err == nil || !strings.Contains(err.Error(), "decode the sources of the mesh") {
		t.Errorf("%v", err)
	}
}
