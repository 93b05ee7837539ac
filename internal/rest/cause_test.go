package rest

import (
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

// R74: protojson, grpc-gateway and strconv quote the value that they refuse; the log line of a refusal names the field instead.
func TestRefusedValuesAreNotTheCause(t *testing.T) {
	s := shape{request: (&authv1.SignInResponse{}).ProtoReflect().Descriptor(), query: map[string]bool{"expires_in": true}}
	parameter := s.checkQuery("expires_in=canary")
	if parameter == nil || parameter.Reason != "INVALID_PARAMETER" {
		t.Fatalf("the parameter is refused as %v", parameter)
	}
	field := decodeInto(&authv1.SignInRequest{}, []byte(`{"password":918273645546372819}`))
	if field == nil || field.Reason != "INVALID_FIELD" {
		t.Fatalf("the field is refused as %v", field)
	}
	for name, err := range map[string]error{"expires_in": parameter, "password": field} {
		if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, "9182") || !strings.Contains(text, name) {
			t.Errorf("the log says %q: want the name %s and no value", text, name)
		}
	}
	var note error
	r := httptest.NewRequestWithContext(WithNote(t.Context(), &note), "GET", "/", nil)
	fail(t.Context(), nil, nil, httptest.NewRecorder(), r, status.Error(codes.InvalidArgument, `parsing "canary": invalid syntax`))
	if note == nil || strings.Contains(note.Error(), "canary") {
		t.Errorf("the log says %q of what the mapping itself refused", note)
	}
}

// The field that is named is the one to correct, wherever it stands.
func TestRefusalsNameTheField(t *testing.T) {
	for body, want := range map[string]string{
		`{"organization_id":7}`:                        "organization_id",
		`{"users":{}}`:                                 "users",
		`{"users":[{"email":"a"},{"email":7}]}`:        "users[1].email",
		`{"users":[{},{"locale":[]},{"time_zone":7}]}`: "users[1].locale",
		`{"users":[null]}`:                             "users",
	} {
		err := decodeInto(&identityv1.ImportUsersRequest{}, []byte(body))
		if err == nil || len(err.Fields) != 1 || !strings.HasPrefix(err.Fields[0].Path, want) || want != "users" && err.Fields[0].Path != want {
			t.Errorf("%s is refused as %v, want %s", body, err, want)
		}
	}
}
