package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/gatehouse/gatehouse/internal/rpcstatus"
	_ "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/contracts"
)

// refusal is one case of what a program refuses: the call over gRPC and over REST, and the one
// answer to both.
type refusal struct {
	name    string
	service string // that answers
	method  string // "package.Service/Method"
	message string // JSON of the message
	rest    request
	bearer  string
	want    outcome
}

// outcome is an answer in the words that all doors have.
type outcome struct {
	Status     int
	Reason     string
	Subject    string
	Fields     []string // the first, "field: rule"
	Violations int
}

// mostFields is how many fields are compared: doors name different numbers of many.
const mostFields = 10

// door is a way into the platform.
type door func(t *testing.T, c refusal) outcome

func doors() map[string]door {
	return map[string]door{
		"gRPC":         askGRPC,
		"gateway REST": askREST(func(*testing.T, refusal) string { return plat.URL() }),
		"service REST": askREST(func(t *testing.T, c refusal) string { return "http://" + serviceOf(t, c.service).REST }),
	}
}

// Whoever asks through whichever door is refused alike: status, reason, subject and fields.
func TestRefusalsAreAlikeThroughAllDoors(t *testing.T) {
	for _, c := range refusals(t) {
		t.Run(c.name, func(t *testing.T) {
			for name, ask := range doors() {
				got := ask(t, c)
				if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
					t.Errorf("%s:\n%+v\nwant\n%+v", name, got, c.want)
				}
			}
		})
	}
}

func askGRPC(t *testing.T, c refusal) outcome {
	t.Helper()
	conn, err := grpc.NewClient(serviceOf(t, c.service).GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(c.method, "/", ".")))
	if err != nil {
		t.Fatal(err)
	}
	method, _ := found.(protoreflect.MethodDescriptor)
	message := dynamicpb.NewMessage(method.Input())
	if err := protojson.Unmarshal([]byte(c.message), message); err != nil {
		t.Fatal(err)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-gatehouse-caller", meshOf(t).SPIFFE("gateway"))
	if c.bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.bearer)
	}
	err = conn.Invoke(ctx, "/"+c.method, message, dynamicpb.NewMessage(method.Output()))
	e := rpcstatus.ToError(status.Convert(err))
	if e == nil {
		t.Fatalf("%s is not refused", c.method)
	}
	o := outcome{Status: e.Status(), Reason: e.Reason, Subject: e.Subject, Violations: max(e.Violations, len(e.Fields))}
	for _, f := range e.Fields {
		o.Fields = append(o.Fields, f.Path+": "+f.Rule)
	}
	o.Fields = o.Fields[:min(mostFields, len(o.Fields))]
	return o
}

// askREST is a door at a base URL.
func askREST(base func(*testing.T, refusal) string) door {
	return func(t *testing.T, c refusal) outcome {
		t.Helper()
		r := c.rest
		r.bearer = c.bearer
		a, err := send(base(t, c), r)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			Status          int
			Reason, Subject string
			Violations      int
			Errors          []struct{ Field, Rule string }
		}
		if err := json.Unmarshal(a.raw, &p); err != nil || p.Status != a.status {
			t.Fatalf("HTTP %d with %s (%v)", a.status, a.raw, err)
		}
		o := outcome{Status: p.Status, Reason: p.Reason, Subject: p.Subject, Violations: max(p.Violations, len(p.Errors))}
		for _, f := range p.Errors {
			o.Fields = append(o.Fields, f.Field+": "+f.Rule)
		}
		o.Fields = o.Fields[:min(mostFields, len(o.Fields))]
		return o
	}
}

const (
	users  = "gatehouse.identity.v1.UserService/"
	logins = "gatehouse.auth.v1.AuthService/"
	rights = "gatehouse.authz.v1.RelationshipService/"
)

// refusals are the cases, one for each kind of refusal that a client can bring about.
func refusals(t *testing.T) []refusal {
	t.Helper()
	p, admin := signUp(t), administrator(t)
	const unknown = "01900000-0000-7000-8000-000000000000"
	role := `{"object": "platform:gatehouse", "relation": "auditor", "subject": "user:` + p.id + `"}`
	missing := `{"writes": [` + role + `], "preconditions": [{"relationship": ` + role + `, "exists": true}]}`
	bad := badRelationships(100)
	return []refusal{
		{"no token", "identity", users + "GetUser", `{"id": "` + p.id + `"}`, request{method: "GET", path: p.path()}, "",
			outcome{Status: 401, Reason: "TOKEN_REQUIRED"}},
		{"not a token", "identity", users + "GetUser", `{"id": "` + p.id + `"}`, request{method: "GET", path: p.path()}, "nonsense",
			outcome{Status: 401, Reason: "INVALID_TOKEN"}},
		{"an unknown user", "identity", users + "GetUser", `{"id": "` + unknown + `"}`, request{method: "GET", path: "/api/v1/users/" + unknown}, p.access,
			outcome{Status: 404, Reason: "USER_NOT_FOUND"}},
		{"a stale etag", "identity", users + "DeleteUser", `{"id": "` + p.id + `", "etag": "stale"}`,
			request{method: "DELETE", path: p.path(), header: map[string]string{"If-Match": `"stale"`}}, p.access,
			outcome{Status: 412, Reason: "ETAG_MISMATCH"}},
		{"a wrong password", "auth", logins + "SignIn", `{"email": "` + p.email + `", "password": "another horse battery"}`,
			request{method: "POST", path: "/api/v1/auth/sign-in", body: `{"email": "` + p.email + `", "password": "another horse battery"}`}, "",
			outcome{Status: 401, Reason: "INVALID_CREDENTIALS"}},
		{"a known password", "auth", logins + "SignUp", `{"email": "` + newEmail() + `", "password": "gatehouse gatehouse"}`,
			request{method: "POST", path: "/api/v1/auth/sign-up", body: `{"email": "` + newEmail() + `", "password": "gatehouse gatehouse"}`}, "",
			outcome{Status: 400, Reason: "PASSWORD_REFUSED", Fields: []string{"password: password.context"}, Violations: 1}},
		{"a taken address", "auth", logins + "SignUp", `{"email": "` + p.email + `", "password": "another horse battery"}`,
			request{method: "POST", path: "/api/v1/auth/sign-up", body: `{"email": "` + p.email + `", "password": "another horse battery"}`}, "",
			outcome{Status: 409, Reason: "EMAIL_TAKEN"}},
		{"a failed precondition", "authz", rights + "UpdateRelationships", missing,
			request{method: "POST", path: "/api/v1/authz/relationships", body: missing}, admin.access,
			outcome{Status: 400, Reason: "PRECONDITION_FAILED", Subject: "platform:gatehouse#auditor@user:" + p.id}},
		{"no right", "authz", rights + "UpdateRelationships", missing,
			request{method: "POST", path: "/api/v1/authz/relationships", body: missing}, p.access,
			outcome{Status: 403, Reason: "PERMISSION_DENIED"}},
		{"a filter that cannot be answered", "authz", rights + "ListRelationships", `{"relation": "auditor"}`,
			request{method: "GET", path: "/api/v1/authz/relationships?relation=auditor"}, admin.access,
			outcome{Status: 400, Reason: "INVALID_FILTER", Fields: []string{"relation: filter"}, Violations: 1}},
		{"600 violations", "authz", rights + "UpdateRelationships", bad,
			request{method: "POST", path: "/api/v1/authz/relationships", body: bad}, admin.access,
			outcome{Status: 400, Reason: "INVALID_ARGUMENT", Violations: 600, Fields: badFields()}},
	}
}

// badRelationships are changes of so many relationships to write, and as many to delete, in which
// each of the three words breaks its pattern.
func badRelationships(count int) string {
	one := `{"object": "` + strings.Repeat("A", 40) + `", "relation": "NO", "subject": "` + strings.Repeat("B", 40) + `"}`
	all := strings.Join(slices.Repeat([]string{one}, count), ",")
	return `{"writes": [` + all + `], "deletes": [` + all + `]}`
}

func badFields() []string {
	var fields []string
	for i := 0; len(fields) < mostFields; i++ {
		for _, word := range []string{"object", "relation", "subject"} {
			fields = append(fields, fmt.Sprintf("writes[%d].%s: string.pattern", i, word))
		}
	}
	return fields[:mostFields]
}

// A refusal of very much arrives through both sidecars as a refusal, whatever it has to say; before
// it was bounded it became 503 on the way.
func TestManyViolationsArriveThroughTheSidecars(t *testing.T) {
	admin := administrator(t)
	for _, count := range []int{50, 60, 100} { // 300 violations arrived, 400 did not
		a := call(t, http.StatusBadRequest, request{method: "POST", path: "/api/v1/authz/relationships", bearer: admin.access, body: badRelationships(count)})
		if a.body["reason"] != "INVALID_ARGUMENT" || a.body["violations"] != float64(count*6) {
			t.Errorf("%d: %s, %v violations", count*6, a.body["reason"], a.body["violations"])
		}
	}
}
