package auditing_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatehouse/gatehouse/internal/access"
	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/auditing"
	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	identityv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/identity/v1"
)

const me = "bbbbbbbb-1111-4111-8111-111111111111"

func method(t *testing.T, name string) *contract.Method {
	t.Helper()
	linked := meshtest.Contract(t)
	m, ok := linked.Method("/gatehouse." + name)
	if !ok {
		t.Fatalf("no method %s", name)
	}
	return m
}

// R66: the event of a request, from the contract, the request and what its context knows.
func TestTheEventOfACall(t *testing.T) {
	ctx := request.WithClient(request.WithID(t.Context(), "req-1"), request.Client{Address: "203.0.113.7", Agent: "curl"})
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	call := auditing.Call{
		Program: "identity", Caller: "gateway", Method: method(t, "identity.v1.UserService/UpdateUser"),
		Who: &request.Subject{UserID: me, SessionID: "s", ClientID: "c", OrganizationID: "o"},
	}
	e, err := call.Asked(call.Began(ctx), &identityv1.UpdateUserRequest{User: &identityv1.User{Id: me, DisplayName: "Ada"}})
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{
		Source: "identity", Caller: "gateway", Action: "user.updated", Method: "gatehouse.identity.v1.UserService/UpdateUser", Outcome: event.Success,
		Actor: event.Actor{Type: event.User, ID: me, SessionID: "s", ClientID: "c"}, OrganizationID: "o", ObjectType: "user", ObjectID: me,
		RequestID: "req-1", TraceID: "01000000000000000000000000000000", ClientAddress: "203.0.113.7", ClientAgent: "curl",
		Changes: []event.Change{{Field: "user.display_name", Value: []byte(`"Ada"`), Personal: true}},
	}
	if diff := cmp.Diff(want, e); diff != "" || !auditing.Records(call.Method) {
		t.Errorf("the event (-want +got):\n%s", diff)
	}
	e = call.Denied(ctx, "NOT_OWNER", nil)
	if e.Action != "permission.denied" || e.Outcome != event.Denied || e.Reason != "NOT_OWNER" || e.ObjectID != "" || e.ClientAddress == "" {
		t.Errorf("refused by the handler: %+v", e)
	}
	e = call.Denied(ctx, "USER_NOT_FOUND", &access.Object{Type: "user", ID: "u"})
	if e.Reason != apierr.PermissionDeniedError().Reason || e.ObjectType != "user" || e.ObjectID != "u" {
		t.Errorf("refused by the contract: %+v", e)
	}
}

// R90: without credentials anybody may name anything.
func TestThePublicNamesNobody(t *testing.T) {
	call := auditing.Call{Program: "auth", Caller: "gateway", Method: method(t, "auth.v1.AuthService/SignIn")}
	e, err := call.Asked(call.Began(t.Context()), &authv1.SignInRequest{Email: "a@example.com", Password: "canary"})
	if err != nil || e.Actor != (event.Actor{Type: event.Anonymous}) || e.ObjectID != "" || len(e.Changes) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
	call = auditing.Call{Program: "auth", Caller: "identity", Method: method(t, "auth.v1.LoginService/RemoveLogin")}
	if e := call.Began(t.Context()); e.Actor != (event.Actor{Type: event.Service, ID: "identity"}) {
		t.Errorf("a program's call is by %+v", e.Actor)
	}
	if auditing.Records(method(t, "auth.v1.VerificationService/GetKeySet")) {
		t.Error("what anybody of the mesh reads is recorded")
	}
}

// kept is the last refusal.
type kept struct {
	event        event.Event
	account, key string
	ended        error // of the context
	err          error
}

func (k *kept) Refused(ctx context.Context, e event.Event, account, key string) error {
	k.event, k.account, k.key, k.ended = e, account, key, ctx.Err()
	return k.err
}

// R66, R74, R90: what refusals are counted under, and that they are recorded although nobody waits.
func TestRefusals(t *testing.T) {
	var log bytes.Buffer
	k := &kept{}
	r := auditing.Recorder{Refusals: k, Log: slog.New(slog.NewTextHandler(&log, nil))}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	r.Denied(gone, event.Event{Actor: event.Actor{Type: event.User, ID: me}, ObjectType: "user", ObjectID: "u"})
	if k.account != "user:"+me || k.key != "user:u" || k.ended != nil {
		t.Errorf("a denial is %+v", k)
	}
	r.Denied(t.Context(), event.Event{Actor: event.Actor{Type: event.Anonymous}})
	if k.account != "" || k.key != ":" {
		t.Errorf("a denial of nobody is %+v", k)
	}
	attempt := event.Event{ObjectType: "user", ClientAddress: "203.0.113.7", Changes: []event.Change{{Field: "email", Value: []byte(`"a@example.com"`)}}}
	r.Failed(t.Context(), attempt, "INVALID_CREDENTIALS")
	first := k.key
	attempt.ClientAddress = "203.0.113.8" // no key of its own
	r.Failed(t.Context(), attempt, "INVALID_CREDENTIALS")
	if k.account != "" || k.key != first || len(first) != 64 || k.event.Outcome != event.Failure || k.event.Reason != "INVALID_CREDENTIALS" {
		t.Errorf("a failure is %+v", k)
	}
	attempt.ObjectID = me
	r.Failed(t.Context(), attempt, "INVALID_CREDENTIALS")
	if k.account != "user:"+me || k.key != "" {
		t.Errorf("a failure of somebody known is %+v", k)
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
	k.err = errors.New("disk full")
	r.Failed(t.Context(), attempt, "INVALID_CREDENTIALS")
	auditing.Recorder{Log: r.Log}.Failed(t.Context(), attempt, "INVALID_CREDENTIALS")
	if got := log.String(); strings.Count(got, "a refusal is not recorded") != 2 || !strings.Contains(got, "disk full") || !strings.Contains(got, "nothing to record it in") {
		t.Errorf("the log says %s", got)
	}
}
