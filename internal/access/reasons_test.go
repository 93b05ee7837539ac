package access

import (
	"maps"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// Clients program against the reasons of refusals, so neither a renamed RPC nor an edited contract
// changes one unseen. The first is that of a request that names nothing, the second that of one
// that names every object that the contract asks about.
func TestReasonsOfRefusals(t *testing.T) {
	c := meshtest.Contract(t)
	got := map[string][2]string{}
	for _, m := range c.Methods() {
		if !m.Has(contract.Self) && !m.Has(contract.Permission) {
			continue
		}
		empty, named := dynamicpb.NewMessage(m.Descriptor.Input()), dynamicpb.NewMessage(m.Descriptor.Input())
		for _, a := range m.Access {
			if a.Field != "" {
				name(named, a.Field)
			}
		}
		got[strings.TrimPrefix(m.FullName, "/gatehouse.")] = [2]string{answer(m, empty), answer(m, named)}
	}
	const (
		denied       = "PERMISSION_DENIED: you are not permitted to do this"
		organization = "ORGANIZATION_NOT_FOUND: no such organization"
		user         = "USER_NOT_FOUND: no such user"
	)
	want := map[string][2]string{
		"audit.v1.AuditService/ListEvents":                 {denied, organization},
		"audit.v1.AuditService/TailEvents":                 {denied, organization},
		"authz.v1.RelationshipService/CheckRelationship":   {denied, denied},
		"authz.v1.RelationshipService/ListRelationships":   {denied, denied},
		"authz.v1.RelationshipService/UpdateRelationships": {denied, denied},
		"identity.v1.UserService/CreateUser":               {denied, organization},
		"identity.v1.UserService/DeleteUser":               {user, user},
		"identity.v1.UserService/GetUser":                  {user, user},
		"identity.v1.UserService/ImportUsers":              {denied, organization},
		"identity.v1.UserService/ListUsers":                {denied, organization},
		"identity.v1.UserService/UpdateUser":               {user, user},
		"identity.v1.UserService/WatchUsers":               {denied, organization},
	}
	maps.DeleteFunc(got, func(method string, _ [2]string) bool { _, ours := want[method]; return !ours }) // of services to come
	for method, reasons := range want {                                                                   // a new method adds its own
		if got[method] != reasons {
			t.Errorf("%s refuses with %q, want %q", method, got[method], reasons)
		}
	}
}

func answer(m *contract.Method, request proto.Message) string { return Refusal(m, request).Error() }

// name sets a string field at a dotted path.
func name(m protoreflect.Message, path string) {
	first, rest, deeper := strings.Cut(path, ".")
	field := m.Descriptor().Fields().ByName(protoreflect.Name(first))
	if deeper {
		name(m.Mutable(field).Message(), rest)
		return
	}
	m.Set(field, protoreflect.ValueOfString("somebody"))
}
