package model_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
	"github.com/gatehouse/gatehouse/services/authz/internal/fga/fgatest"
)

// R50: every permission that a contract asks for is one of the model, so that no method is closed, or open, by a slip of the pen; and the
// model has no permission that nothing asks for, but for those that others are made of.
func TestContractsAndModelNameTheSamePermissions(t *testing.T) {
	t.Parallel()
	c := meshtest.Contract(t)
	unasked := map[string]bool{}
	for _, kind := range fgatest.New(t).Model().Types {
		for _, name := range kind.Relations {
			unasked[kind.Name+"#"+name] = true
		}
	}
	known := len(unasked)
	for _, m := range c.Methods() {
		for _, a := range m.Access {
			if a.Kind != contract.Permission {
				continue
			}
			asked := a.ObjectType + "#" + a.Relation
			if _, ok := unasked[asked]; !ok {
				t.Errorf("%s asks for %s, which the model does not have", m.FullName, asked)
			}
			if !strings.HasPrefix(a.Relation, "can_") {
				t.Errorf("%s asks for %s: name a permission, can_…, so that roles can change", m.FullName, asked)
			}
			if a.ObjectID != "" && a.ObjectType+":"+a.ObjectID != "platform:gatehouse" {
				t.Errorf("%s asks about %s:%s: the one object with a fixed name is platform:gatehouse", m.FullName, a.ObjectType, a.ObjectID)
			}
			unasked[asked] = false
		}
	}
	if known == 0 {
		t.Fatal("the model has no relations")
	}
	building := []string{ // what other permissions are made of, and what the platform's own answers need
		"organization#can_read", "organization#can_update", "organization#can_manage_users", "platform#can_manage_users",
	}
	for name, open := range unasked {
		if _, relation, _ := strings.Cut(name, "#"); open && strings.HasPrefix(relation, "can_") && !slices.Contains(building, name) {
			t.Errorf("no contract asks for %s: remove it from the model, or list it here", name)
		}
	}
}

// Every type of the model has a program that answers for it, so that no new contract can claim one
// that decides about others', and what programs write is in the model.
func TestContractsOwnTheTypesOfTheModel(t *testing.T) {
	t.Parallel()
	definition := meshtest.Definition(t)
	owned := map[string][]string{} // relations that programs write, by type
	for _, kind := range definition.ObjectTypes {
		owned[kind.Name] = []string{}
		for _, w := range kind.Writers {
			owned[kind.Name] = append(owned[kind.Name], w.Relations...)
		}
	}
	for _, kind := range fgatest.New(t).Model().Types {
		written, ok := owned[kind.Name]
		if !ok {
			t.Errorf("no contract answers for the type %s: add it to object_types of the program that owns it, else of authz", kind.Name)
		}
		for _, spelt := range written {
			if name, _, _ := strings.Cut(spelt, "@"); name != contract.EveryRelation && !slices.Contains(kind.Relations, name) {
				t.Errorf("%s#%s is written and not in the model", kind.Name, name)
			}
		}
		delete(owned, kind.Name)
	}
	for name := range owned {
		t.Errorf("a contract answers for the type %s, which the model does not have", name)
	}
}
