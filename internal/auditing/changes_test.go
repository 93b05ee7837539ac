package auditing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	authzv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// lines writes changes as "path=value", personal ones with a tilde.
func lines(t *testing.T, method string, m proto.Message) []string {
	t.Helper()
	contracts := meshtest.Contract(t)
	policy, ok := contracts.Method(method)
	if !ok {
		t.Fatalf("no method %s", method)
	}
	before := proto.Clone(m)
	changes, err := Changes(policy.Audit, m)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(before, m) {
		t.Error("the request was changed")
	}
	var all []string
	for _, c := range changes {
		mark := "="
		if c.Personal {
			mark = "~"
		}
		all = append(all, c.Field+mark+strings.ReplaceAll(string(c.Value), " ", ""))
	}
	return all
}

// What an event says of a request: what it sets, without the object's id, secrets, etags, the mask and what only the platform sets.
func TestChanges(t *testing.T) {
	const id = "11111111-1111-4111-8111-111111111111"
	const update = "/gatehouse.identity.v1.UserService/UpdateUser"
	user := func() *identityv1.User { return &identityv1.User{Id: id, DisplayName: "A", Locale: "de-CH"} }
	mask := func(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }
	for name, c := range map[string]struct {
		method string
		m      proto.Message
		want   []string
	}{
		"no mask: what has a value":                  {update, &identityv1.UpdateUserRequest{User: user(), Etag: "1"}, []string{`user.display_name~"A"`, `user.locale~"de-CH"`}},
		"a mask: only what it names":                 {update, &identityv1.UpdateUserRequest{User: user(), UpdateMask: mask("locale")}, []string{`user.locale~"de-CH"`}},
		"a mask: what it empties":                    {update, &identityv1.UpdateUserRequest{User: user(), UpdateMask: mask("time_zone")}, []string{`user.time_zone~""`}},
		"a mask of everything, with what it empties": {update, &identityv1.UpdateUserRequest{User: user(), UpdateMask: mask("*")}, []string{`user.display_name~"A"`, `user.locale~"de-CH"`, `user.time_zone~""`}},
		"a mask of a longer name":                    {update, &identityv1.UpdateUserRequest{User: user(), UpdateMask: mask("locale_of_another")}, nil}, // R64
		"what only the platform sets": {update, &identityv1.UpdateUserRequest{User: &identityv1.User{
			Id: id, OrganizationId: id, Email: "a@example.com", Etag: "9", CreateTime: timestamppb.Now(),
		}}, nil},
		"nothing but the object": {"/gatehouse.identity.v1.UserService/DeleteUser", &identityv1.DeleteUserRequest{Id: id, Etag: "1"}, nil},
		"secrets": {"/gatehouse.auth.v1.AuthService/SignUp", &authv1.SignUpRequest{Email: "a@example.com", Password: "canary", DisplayName: "A <a>"},
			[]string{`email~"a@example.com"`, `display_name~"A\u003ca\u003e"`}}, // R74
		"only secrets": {"/gatehouse.auth.v1.AuthService/Refresh", &authv1.RefreshRequest{RefreshToken: "canary"}, nil},
		"lists": {"/gatehouse.authz.v1.RelationshipService/UpdateRelationships", &authzv1.UpdateRelationshipsRequest{
			Writes: []*authzv1.Relationship{{Object: "group:a", Relation: "member", Subject: "user:b"}},
		}, []string{`writes=[{"object":"group:a","relation":"member","subject":"user:b"}]`}},
		"nested messages": {"/gatehouse.authz.v1.AuthzService/WriteRelationships", &authzv1.WriteRelationshipsRequest{
			Id: id, DeleteAllOf: "user:b", Origin: &authzv1.Origin{ActorType: "user", ActorId: id},
		}, []string{`id="` + id + `"`, `delete_all_of="user:b"`, `origin.actor_type="user"`, `origin.actor_id="` + id + `"`}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, lines(t, c.method, c.m)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// R74: a secret inside of a list, a map or a message is left out wherever it stands, and personal values make the whole list personal.
func TestSecretsInside(t *testing.T) {
	m := &authzv1.UpdateRelationshipsRequest{
		Writes:        []*authzv1.Relationship{{Object: "group:a", Subject: "canary"}, {Object: "group:b", Subject: "canary"}},
		Preconditions: []*authzv1.Precondition{{Exists: true, Relationship: &authzv1.Relationship{Object: "group:c", Subject: "canary"}}},
	}
	changes, err := Changes(contract.Audit{
		Secret: []string{"writes.subject", "preconditions.relationship.subject", "deletes.subject"}, Personal: []string{"writes.object"},
	}, m)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, c := range changes {
		text.WriteString(c.Field)
		text.Write(c.Value)
	}
	if strings.Contains(text.String(), "canary") || !strings.Contains(text.String(), "group:b") || len(changes) != 2 {
		t.Errorf("changes are %s", text.String())
	}
	if !changes[0].Personal || changes[1].Personal {
		t.Errorf("personal are %v and %v", changes[0].Personal, changes[1].Personal)
	}
	if m.GetWrites()[0].GetSubject() != "canary" {
		t.Error("the handler's request was changed")
	}
}

// A value is written whatever its kind, an unset one as what it means.
func TestValues(t *testing.T) {
	m := &authzv1.Precondition{Exists: true}
	for name, want := range map[string]string{"exists": "true", "relationship": "null"} {
		got, err := valueOf(m.ProtoReflect(), m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)))
		if err != nil || string(got) != want {
			t.Errorf("%s is %s, %v, want %s", name, got, err, want)
		}
	}
}
