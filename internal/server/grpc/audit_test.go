package grpcserver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
)

// drafted runs one call and returns the event that its handler had; ok is false when it had none.
func drafted(t *testing.T, d *demo, call func() error) (e event.Event, ok bool) {
	t.Helper()
	d.unary = func(ctx context.Context, in *message) (*message, error) {
		e = event.FromContext(ctx)
		ok = e.Action != ""
		return in, nil
	}
	if err := call(); err != nil {
		t.Fatal(err)
	}
	return e, ok
}

// R66: who, what, where and in which request, from the contract alone.
func TestDrafts(t *testing.T) {
	d := newDemo(t)
	s := start(t, d, grpctest.Config{})
	claims := s.Tokens.Claims(me)
	user := s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+s.Tokens.Sign(claims), request.IDHeader, "req-1")
	got, ok := drafted(t, d, func() error { return d.call(t.Context(), user, "Change", "id", me, "text", "hallo", "user.id", "x") })
	want := event.Event{
		Source: "demo", Caller: "gateway", Action: "demo.changed", Method: demoService + "/Change", Outcome: event.Success,
		Actor:          event.Actor{Type: event.User, ID: me, SessionID: claims.SessionID, ClientID: claims.ClientID},
		OrganizationID: claims.OrganizationID, ObjectType: "demo", ObjectID: me, RequestID: "req-1",
		Changes: []event.Change{
			{Field: "user.id", Value: []byte(`"x"`)},
			{Field: "text", Value: []byte(`"hallo"`), Personal: true},
		},
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("the draft of a user's change (-want +got):\n%s", diff)
	}

	got, ok = drafted(t, d, func() error {
		return d.call(t.Context(), s.As("gateway"), "Login", "id", "a", "text", "mail", "user.id", "secret")
	})
	if !ok || got.Actor != (event.Actor{Type: event.Anonymous}) || got.ObjectID != "" || len(got.Changes) != 2 || strings.Contains(fmt.Sprint(got), "secret") {
		t.Errorf("the draft of a public call is %+v, %v", got, ok)
	}

	got, ok = drafted(t, d, func() error { return d.call(t.Context(), s.As("worker"), "ChangeByService") })
	if !ok || got.Actor != (event.Actor{Type: event.Service, ID: "worker"}) || got.Caller != "worker" {
		t.Errorf("the draft of a program's call is %+v, %v", got, ok)
	}

	if got, ok := drafted(t, d, func() error { return d.call(t.Context(), user, "SignedIn") }); ok {
		t.Errorf("a call without an event has the draft %+v", got)
	}
}

// The method that stores the events of others has no draft and leaves no trace of its refusals, or storing would never end.
func TestTrailHasNoEvents(t *testing.T) {
	d, trail := newDemo(t), grpctest.NewTrail()
	drafts := make(chan bool, 1)
	d.stream = func(s grpc.ServerStream) error {
		drafts <- event.FromContext(s.Context()).Action != ""
		return apierr.New(apierr.PermissionDenied, "NOT_YOURS", "another program's events")
	}
	s := start(t, d, grpctest.Config{Refusals: trail})
	stream, err := d.open(t.Context(), s.As("worker"), "Ingest")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, stream.RecvMsg(d.message()), codes.PermissionDenied, "NOT_YOURS")
	if <-drafts || len(trail.Refusals()) > 0 {
		t.Errorf("there was a draft, or %v is recorded", trail.Refusals())
	}
}

// R66: denied rights are recorded, and nothing else is taken for one.
func TestDenials(t *testing.T) {
	denied := apierr.New(apierr.PermissionDenied, "NOT_OWNER", "only the owner may")
	for name, c := range map[string]struct {
		method  string
		pairs   []string
		handler error
		program bool // a program calls
		want    *event.Event
		account string
		key     string
	}{
		"self": {method: "GetUser", pairs: []string{"id", other}, want: &event.Event{
			Reason: "PERMISSION_DENIED", ObjectType: "user", ObjectID: other,
		}, account: "user:" + me, key: "user:" + other},
		"permission": {method: "PermissionOrPlatform", pairs: []string{"id", strings.ToUpper(other)}, want: &event.Event{
			Reason: "PERMISSION_DENIED", ObjectType: "user", ObjectID: other,
		}, account: "user:" + me, key: "user:" + other},
		"fixed object": {method: "PermissionOrPlatform", want: &event.Event{
			Reason: "PERMISSION_DENIED", ObjectType: "platform", ObjectID: "gatehouse",
		}, account: "user:" + me, key: "platform:gatehouse"},
		"the object of the event": {method: "Change", pairs: []string{"id", other}, want: &event.Event{
			Reason: "PERMISSION_DENIED", ObjectType: "demo", ObjectID: other,
		}, account: "user:" + me, key: "demo:" + other},
		"no object":                    {method: "Permission", want: &event.Event{Reason: "PERMISSION_DENIED"}, account: "user:" + me, key: ":"},
		"no id":                        {method: "Permission", pairs: []string{"id", "x#y\nlevel=error"}, want: &event.Event{Reason: "PERMISSION_DENIED"}, account: "user:" + me, key: ":"},
		"by the handler":               {method: "SignedIn", handler: denied, want: &event.Event{Reason: "NOT_OWNER"}, account: "user:" + me, key: ":"},
		"by the handler, to a program": {method: "ChangeByService", handler: denied, program: true, want: &event.Event{Reason: "NOT_OWNER"}, account: "service:worker", key: ":"},
		"admitted":                     {method: "GetUser", pairs: []string{"id", me}},
		"handler not found":            {method: "GetUser", pairs: []string{"id", me}, handler: apierr.New(apierr.NotFound, "USER_NOT_FOUND", "no such user")},
		"caller refused":               {method: "Service"},
	} {
		t.Run(name, func(t *testing.T) {
			d, trail := newDemo(t), grpctest.NewTrail()
			d.unary = func(_ context.Context, in *message) (*message, error) { return in, c.handler }
			s := start(t, d, grpctest.Config{Refusals: trail})
			claims := s.Tokens.Claims(me)
			pairs := []string{request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer " + s.Tokens.Sign(claims), request.IDHeader, "req-1"}
			actor, organization := event.Actor{Type: event.User, ID: me, SessionID: claims.SessionID, ClientID: claims.ClientID}, claims.OrganizationID
			if c.program {
				pairs = []string{request.CallerHeader, grpctest.SPIFFE("worker"), request.IDHeader, "req-1"}
				actor, organization = event.Actor{Type: event.Service, ID: "worker"}, ""
			}
			_ = d.call(t.Context(), s.Dial(pairs...), c.method, c.pairs...)
			refusals := trail.Refusals()
			if c.want == nil {
				if len(refusals) != 0 {
					t.Errorf("recorded %+v", refusals)
				}
				return
			}
			if len(refusals) != 1 {
				t.Fatalf("recorded %+v", refusals)
			}
			want := *c.want
			want.Source, want.Action, want.Outcome, want.Method = "demo", "permission.denied", event.Denied, demoService+"/"+c.method
			want.Actor, want.OrganizationID, want.RequestID, want.Caller = actor, organization, "req-1", "gateway"
			if c.program {
				want.Caller = "worker"
			}
			if diff := cmp.Diff(want, refusals[0].Event); diff != "" || refusals[0].Account != c.account || refusals[0].Key != c.key {
				t.Errorf("account %q and key %q, want %q and %q; event (-want +got):\n%s", refusals[0].Account, refusals[0].Key, c.account, c.key, diff)
			}
		})
	}
}

// A refused message of a stream is a denial too.
func TestDeniedMessages(t *testing.T) {
	d, trail := newDemo(t), grpctest.NewTrail()
	d.stream = echo(d)
	s := start(t, d, grpctest.Config{Refusals: trail})
	stream, err := d.open(t.Context(), s.AsUser(s.Tokens.Claims(me)), "Follow")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(d.message("id", other)); err != nil {
		t.Fatal(err)
	}
	expect(t, stream.RecvMsg(d.message()), codes.NotFound, "USER_NOT_FOUND")
	if got := trail.Refusals(); len(got) != 1 || got[0].Event.ObjectID != other {
		t.Errorf("recorded %+v", got)
	}
}

// R66: a credential that a public method does not accept is a failure of its action; what else goes wrong there is not.
func TestFailures(t *testing.T) {
	wrong := apierr.New(apierr.Unauthenticated, "INVALID_CREDENTIALS", "wrong")
	d, trail := newDemo(t), grpctest.NewTrail()
	s := start(t, d, grpctest.Config{Refusals: trail})
	conn := s.As("gateway")
	login := func(text string, answer error, known string) grpctest.Refusal {
		t.Helper()
		before := len(trail.Refusals())
		d.unary = func(ctx context.Context, in *message) (*message, error) {
			if known != "" {
				e := event.FromContext(ctx)
				e.ObjectID = known
				return in, event.Attempt(answer, e)
			}
			return in, answer
		}
		if err := d.call(t.Context(), conn, "Login", "text", text, "user.id", "canary"); (err == nil) != (answer == nil) {
			t.Fatalf("answer is %v", err)
		}
		switch got := trail.Refusals()[before:]; len(got) {
		case 0:
			return grpctest.Refusal{}
		case 1:
			return got[0]
		default:
			t.Fatalf("recorded %+v", got)
			return grpctest.Refusal{}
		}
	}
	first := login("a", wrong, "")
	if e := first.Event; e.Action != "demo.logged_in" || e.Outcome != event.Failure || e.Reason != "INVALID_CREDENTIALS" || e.Actor.Type != event.Anonymous ||
		e.ObjectID != "" || len(e.Changes) != 1 || !e.Changes[0].Personal || string(e.Changes[0].Value) != `"a"` {
		t.Errorf("the failure is %+v", e)
	}
	if strings.Contains(fmt.Sprint(first), "canary") || strings.Contains(first.Key, "a=") || len(first.Key) != 64 || first.Account != "" { // R74
		t.Errorf("the key %q or the event holds a value", first.Key)
	}
	if again := login("a", wrong, ""); again.Key != first.Key {
		t.Errorf("the same attempt has the keys %q and %q", first.Key, again.Key)
	}
	if another := login("b", wrong, ""); another.Key == first.Key {
		t.Error("another attempt has the same key")
	}
	if known := login("a", wrong, me); known.Account != "user:"+me || known.Key != "" || known.Event.ObjectID != me { // R90
		t.Errorf("an attempt on a known user is %+v", known)
	}
	for _, answer := range []error{nil, apierr.New(apierr.ResourceExhausted, "BUSY", "busy"), errors.New("defect")} {
		if got := login("a", answer, ""); got.Key != "" {
			t.Errorf("%v is recorded as %+v", answer, got)
		}
	}
	if err := d.call(t.Context(), conn, "Login", "text", "too long"); err == nil || len(trail.Refusals()) != 4 {
		t.Errorf("an invalid request answers %v and leaves %d records", err, len(trail.Refusals()))
	}
}

// What is refused is recorded although the client has gone.
func TestRefusalsOutliveTheRequest(t *testing.T) {
	d, trail := newDemo(t), grpctest.NewTrail()
	entered, ended := make(chan struct{}), make(chan struct{})
	d.unary = func(ctx context.Context, _ *message) (*message, error) {
		close(entered)
		<-ctx.Done()
		close(ended)
		return nil, apierr.New(apierr.Unauthenticated, "INVALID_CREDENTIALS", "wrong")
	}
	log := &logLines{}
	s := start(t, d, grpctest.Config{Refusals: trail, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	conn, done := s.As("gateway"), make(chan struct{})
	go func() {
		defer close(done)
		_ = d.call(ctx, conn, "Login", "text", "a")
	}()
	<-entered
	cancel()
	<-ended
	<-done
	if err := s.Drain(t.Context()); err != nil { // waits for the handler
		t.Fatal(err)
	}
	if n := len(trail.Refusals()); n != 1 {
		t.Errorf("%d records:\n%s", n, log)
	}
}

// A trail that cannot be written changes no response, and is logged.
func TestRefusalsThatFail(t *testing.T) {
	d, trail, log := newDemo(t), grpctest.NewTrail(), &logLines{}
	trail.Fail(errors.New("disk full"))
	s := start(t, d, grpctest.Config{Refusals: trail, Log: log})
	expect(t, d.call(t.Context(), s.AsUser(s.Tokens.Claims(me)), "GetUser", "id", other), codes.NotFound, "USER_NOT_FOUND")
	if !strings.Contains(log.String(), "a refusal is not recorded") || !strings.Contains(log.String(), "disk full") {
		t.Errorf("the log says\n%s", log)
	}
}
