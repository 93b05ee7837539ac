package contract_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

func TestLoadReadsTheLinkedContracts(t *testing.T) {
	c := meshtest.Contract(t)
	identity, ok := c.Program("identity")
	if !ok || identity.Port != 8081 || !slices.Equal(identity.Needs, []string{"postgres"}) || identity.Edge {
		t.Errorf("identity = %+v", identity)
	}
	auth, gateway := program(t, c, "auth"), program(t, c, "gateway")
	update := method(t, c, "/gatehouse.identity.v1.UserService/UpdateUser")
	if update.Program != "identity" || update.ReadOnly || !update.Idempotent || update.Timeout != contract.DefaultTimeout || update.HTTPStatus != 200 {
		t.Errorf("UpdateUser = %+v", update)
	}
	if want := (contract.Route{Verb: "PATCH", Path: "/api/v1/users/{user.id}", Body: "user"}); *update.Route != want {
		t.Errorf("UpdateUser route = %+v, want %+v", *update.Route, want)
	}
	if want := []contract.Access{
		{Kind: contract.Self, Field: "user.id"},
		{Kind: contract.Permission, Relation: "can_update", ObjectType: "user", Field: "user.id"},
	}; !slices.Equal(update.Access, want) {
		t.Errorf("UpdateUser access = %+v, want %+v", update.Access, want)
	}
	if !update.Consents(gateway) || update.Consents(auth) {
		t.Error("UpdateUser admits the gateway by its route and nobody else")
	}
	watch := method(t, c, "/gatehouse.auth.v1.VerificationService/WatchRevocations")
	if !watch.LongLived || watch.Timeout != 0 || !watch.Has(contract.Service) || !watch.Consents(contract.Program{Name: "anybody"}) || !watch.ReadOnly {
		t.Errorf("WatchRevocations = %+v", watch)
	}
	register := method(t, c, "/gatehouse.identity.v1.UserDirectoryService/RegisterUser")
	if !register.Consents(auth) || register.Consents(gateway) || register.Route != nil {
		t.Errorf("RegisterUser = %+v", register)
	}
	signUp := method(t, c, "/gatehouse.auth.v1.AuthService/SignUp")
	if want := []string{"password"}; !slices.Equal(signUp.Audit.Secret, want) || signUp.HTTPStatus != 201 || signUp.Timeout > 30*time.Second {
		t.Errorf("SignUp = %+v", signUp)
	}
}

// Permissions on one object, types of objects and the method that stores the events of others.
func TestLoadReadsPermissionsAndTrail(t *testing.T) {
	c := meshtest.Contract(t)
	manage := method(t, c, "/gatehouse.authz.v1.RelationshipService/UpdateRelationships")
	if want := []contract.Access{{Kind: contract.Permission, Relation: "can_manage_relationships", ObjectType: "platform", ObjectID: "gatehouse"}}; !slices.Equal(manage.Access, want) {
		t.Errorf("UpdateRelationships access = %+v, want %+v", manage.Access, want)
	}
	if manage.Audit.Action != "authz.relationships_written" || manage.Audit.None || manage.Audit.Trail {
		t.Errorf("UpdateRelationships audit = %+v", manage.Audit)
	}
	remove := method(t, c, "/gatehouse.identity.v1.UserService/DeleteUser")
	if remove.Audit.ObjectType != "user" || remove.Audit.Object != "id" {
		t.Errorf("DeleteUser audit = %+v", remove.Audit)
	}
	ingest := method(t, c, "/gatehouse.audit.v1.IngestService/Ingest")
	if !ingest.Audit.Trail || ingest.Audit.None || ingest.Audit.Action != "" || !ingest.LongLived || !ingest.EveryService {
		t.Errorf("Ingest = %+v", ingest)
	}
}

func TestLoadLeavesOutServicesWithoutContract(t *testing.T) {
	c := meshtest.Contract(t)
	for _, m := range c.Methods() {
		if m.Program == "" {
			t.Errorf("%s has no program", m.FullName)
		}
	}
}

func program(t *testing.T, c *contract.Contract, name string) contract.Program {
	t.Helper()
	p, ok := c.Program(name)
	if !ok {
		t.Fatalf("no program %s", name)
	}
	return p
}

func method(t *testing.T, c *contract.Contract, name string) *contract.Method {
	t.Helper()
	m, ok := c.Method(name)
	if !ok {
		t.Fatalf("no method %s", name)
	}
	return m
}

// What a program needs of who runs it, and what it writes of which types.
func TestLoadReadsFacts(t *testing.T) {
	c := meshtest.Contract(t)
	authz, auth, audit := program(t, c, "authz"), program(t, c, "auth"), program(t, c, "audit")
	if d := authz.Database; !slices.Equal(d.Schemas, []string{"authz_fga"}) || d.Owner != "" || len(d.Pools) != 1 || d.Pools[0].Size != 20 {
		t.Errorf("authz has the database %+v", d)
	}
	if d := audit.Database; d.Owner != "audit_owner" || len(d.Schemas)+len(d.Pools) != 0 {
		t.Errorf("audit has the database %+v", d)
	}
	if len(auth.Secrets) != 2 || auth.Secrets[0] != (contract.Secret{File: "auth-encryption.key", Variable: "GATEHOUSE_AUTH_KEY", Kind: contract.KeySecret, Previous: true}) ||
		auth.Secrets[1].Kind != contract.PasswordSecret || auth.Secrets[1].Use == "" {
		t.Errorf("auth has the secrets %+v", auth.Secrets)
	}
	for _, kind := range authz.ObjectTypes {
		writers := c.Writers(authz, kind)
		if kind.Name == "platform" != (len(writers) == 1) || len(writers) == 1 && writers[0].Program != "auth" {
			t.Errorf("%s is written by %+v", kind.Name, writers)
		}
		kind.Allow = nil // a declaration alone is not a right
		if writers := c.Writers(authz, kind); len(writers) != 0 {
			t.Errorf("without consent %s is written by %+v", kind.Name, writers)
		}
	}
	if m := method(t, c, "/gatehouse.authz.v1.AuthzService/BatchCheck"); m.Duty != contract.Decision {
		t.Errorf("BatchCheck has the duty %d", m.Duty)
	}
	if m := method(t, c, "/gatehouse.identity.v1.UserService/GetUser"); m.Noun != "user" {
		t.Errorf("GetUser has the noun %q", m.Noun)
	}
}

// What one program may use of a method: what it says, or else what all have.
func TestRates(t *testing.T) {
	c := meshtest.Contract(t)
	for name, want := range map[string]contract.Rate{
		"/gatehouse.identity.v1.UserService/DeleteUser":           {PerSecond: 2000, Burst: 4000},
		"/gatehouse.identity.v1.UserService/GetUser":              {PerSecond: 10000, Burst: 20000},
		"/gatehouse.auth.v1.VerificationService/WatchRevocations": {PerSecond: 2000, Burst: 4000, Streams: 2000},
		"/gatehouse.authz.v1.AuthzService/Check":                  {PerSecond: 20000, Burst: 40000},
		"/gatehouse.authz.v1.AuthzService/BatchCheck":             {PerSecond: 20000, Burst: 40000},
		"/gatehouse.identity.v1.UserService/WatchUsers":           {PerSecond: 2000, Burst: 4000, Streams: 12000},
		"/gatehouse.audit.v1.AuditService/TailEvents":             {PerSecond: 2000, Burst: 4000, Streams: 12000},
	} {
		if got := method(t, c, name).Rate; got != want {
			t.Errorf("%s has the rate %+v, want %+v", name, got, want)
		}
	}
}

// The contracts as programs link them are as good as the compiler's, which have positions.
func TestTheLinkedContractsHaveNoProblems(t *testing.T) {
	c := meshtest.Contract(t)
	ours := func(path string) bool { return strings.HasPrefix(path, "gatehouse/") }
	for _, problem := range c.Check(protoregistry.GlobalFiles, ours, "proto") {
		t.Error(problem)
	}
}
