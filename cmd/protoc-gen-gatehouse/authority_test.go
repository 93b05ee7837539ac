package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/mesh"
)

// beside returns the committed protos with a new one beside them that has the option. It may call
// the method that takes relationships: what it may write is another question.
func beside(t *testing.T, port int, option string) map[string]string {
	t.Helper()
	sources := committed(t)
	sources["gatehouse/newcomer/v1/newcomer.proto"] = fmt.Sprintf(newcomer, port, option)
	replace(t, sources, "        \"identity\",\n        \"auth\"\n", `"identity", "auth", "newcomer"`)
	return sources
}

// free are the first and the last port of the layout that no program has.
func free(t *testing.T) []int {
	t.Helper()
	files, err := run(t, committed(t))
	if err != nil {
		t.Fatal(err)
	}
	taken := map[int]bool{}
	for _, p := range decode(t, files["mesh.json"]).Programs {
		taken[p.Port] = true
	}
	var ports []int
	for port := mesh.FirstPort; port < mesh.FirstPort+mesh.BackingSlot; port++ {
		if !taken[port] {
			ports = append(ports, port)
		}
	}
	return []int{ports[0], ports[len(ports)-1]}
}

// replace changes what Authz's owner says.
func replace(t *testing.T, sources map[string]string, before, after string) {
	t.Helper()
	const authz = "gatehouse/authz/v1/authz.proto"
	if strings.Count(sources[authz], before) != 1 {
		t.Fatalf("%s does not say %s once", authz, before)
	}
	sources[authz] = strings.Replace(sources[authz], before, after, 1)
}

const newcomer = `syntax = "proto3";
package gatehouse.newcomer.v1;
import "gatehouse/options/v1/options.proto";
option go_package = "example.com/test/newcomer.v1;newcomerv1";
option (gatehouse.options.v1.program) = {
  name: "newcomer"
  port: %d
  needs: [BACKING_POSTGRES]
  calls: ["gatehouse.authz.v1.AuthzService/WriteRelationships"]
  %s
};
`

// What stands in a new contract alone gives its program no right over what is others', on whatever
// port it says so: that takes a line in the proto of the owner.
func TestANewContractTakesNothingOfOthers(t *testing.T) {
	ports := free(t)
	if _, err := run(t, beside(t, ports[0], "")); err != nil {
		t.Fatalf("a contract that takes nothing: %v", err)
	}
	for name, option := range map[string]string{
		"the administrators":            `relationships: {object_type: "platform" relations: ["administrator@user"]}`,
		"the administrators, as groups": `relationships: {object_type: "platform" relations: ["administrator@group"]}`,
		"all of the platform":           `relationships: {object_type: "platform" relations: ["every_relation"]}`,
		"the platform's type": `object_types: {name: "platform"}
			relationships: {object_type: "platform" relations: ["administrator@user"]}`,
		"the type, with a consent": `object_types: {name: "platform" allow: {program: "newcomer" relations: ["administrator@user"]}}
			relationships: {object_type: "platform" relations: ["administrator@user"]}`,
		"the type, with all its consents": `object_types: {name: "platform" allow: {program: "auth" relations: ["administrator@user"]}}
			relationships: {object_type: "platform" relations: ["administrator@user"]}`,
		"members of groups":          `relationships: {object_type: "group" relations: ["member"]}`,
		"the end of an organization": `relationships: {object_type: "organization" delete_all: true}`,
		"Audit's owner":              `database: {owner: "audit_owner"}`,
		"Authz's schema":             `database: {schemas: ["authz_fga"]}`,
		"Identity's schema":          `database: {schemas: ["identity"]}`,
		"Auth's key":                 `secrets: {file: "auth-encryption.key" variable: "GATEHOUSE_NEWCOMER_KEY" kind: KIND_KEY}`,
		"the password of a role":     `secrets: {file: "postgres-audit.url" variable: "GATEHOUSE_NEWCOMER_KEY" kind: KIND_KEY}`,
		"Auth's variable":            `secrets: {file: "newcomer.key" variable: "GATEHOUSE_AUTH_KEY" kind: KIND_KEY}`,
	} {
		port := ports[len(option)%len(ports)]
		if _, err := run(t, beside(t, port, option)); err == nil || !strings.Contains(err.Error(), "newcomer.proto") {
			t.Errorf("%s: got %v, want a problem in newcomer.proto", name, err)
		}
	}
}

// With the owner's line it generates, and the difference names what that line gives.
func TestAConsentIsShown(t *testing.T) {
	before, err := run(t, committed(t))
	if err != nil {
		t.Fatal(err)
	}
	sources := beside(t, free(t)[0], `object_types: {name: "invoice"}
		relationships: [
			{object_type: "invoice" relations: ["payer@user"] delete_all: true},
			{object_type: "platform" relations: ["auditor@user"]}
		]`)
	replace(t, sources, `name: "platform"`, `name: "platform" allow: {program: "newcomer" relations: ["auditor@user"]}`)
	after, err := run(t, sources)
	if err != nil {
		t.Fatal(err)
	}
	diff := mesh.Compare(decode(t, before["mesh.json"]), decode(t, after["mesh.json"]))
	want := []string{
		"newcomer deletes all relationships of objects of the type invoice", "newcomer owns the type invoice",
		"newcomer writes invoice#payer@user", "newcomer writes platform#auditor@user", "the role newcomer owns the schema newcomer",
	}
	if !slices.Equal(diff.Granted, want) || len(diff.Revoked) != 0 {
		t.Errorf("granted %q, revoked %q, want %q and nothing", diff.Granted, diff.Revoked, want)
	}
	if back := mesh.Compare(decode(t, after["mesh.json"]), decode(t, before["mesh.json"])); !slices.Equal(back.Revoked, want) {
		t.Errorf("revoked %q, want %q", back.Revoked, want)
	}
}
