package relation_test

import (
	"testing"

	"github.com/gatehouse/gatehouse/internal/relation"
)

// What is stored with these names must be found by them for good.
func TestNamesOfThePlatformsObjects(t *testing.T) {
	if relation.Platform != "platform:gatehouse" || relation.User("u") != "user:u" || relation.Organization("o") != "organization:o" {
		t.Errorf("the names are %s, %s, %s", relation.Platform, relation.User("u"), relation.Organization("o"))
	}
	for _, name := range []string{relation.Platform, relation.User("u"), relation.Organization("o")} {
		if !relation.IsObject(name) {
			t.Errorf("%s is not an object", name)
		}
	}
	if id, ok := relation.UserID("user:u"); !ok || id != "u" {
		t.Errorf("the id of a user is %q, %v", id, ok)
	}
	if id, ok := relation.OrganizationID("organization:o"); !ok || id != "o" {
		t.Errorf("the id of an organization is %q, %v", id, ok)
	}
	if _, ok := relation.UserID("organization:u"); ok {
		t.Error("an organization is a user")
	}
	if _, ok := relation.OrganizationID("user:o"); ok {
		t.Error("a user is an organization")
	}
}
