package contract_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/gatehouse/gatehouse/internal/contract"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

func TestLoadReadsTheLinkedContracts(t *testing.T) {
	c, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
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
	c, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
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
	c, err := contract.Load(protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
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
