package login_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/password"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// only returns the one event that was recorded since skip others.
func (w *world) only(t *testing.T, skip int) event.Event {
	t.Helper()
	events := w.Recorded(t)
	if len(events) != skip+1 {
		t.Fatalf("%d events, want %d: %+v", len(events), skip+1, events)
	}
	return events[skip]
}

// byRequest checks what every event of a request by a person says.
func byRequest(t *testing.T, e event.Event, action string, u login.User) {
	t.Helper()
	want := event.Actor{Type: event.User, ID: u.ID}
	if e.Action != action || e.Outcome != event.Success || e.Source != "auth" || e.Caller != "gateway" || e.ObjectType != "user" || e.ObjectID != u.ID ||
		e.Actor != want || e.OrganizationID != u.OrganizationID || e.RequestID != "request-1" || e.TraceID == "" {
		t.Errorf("event = %+v, want %s by and of user %s", e, action, u.ID)
	}
}

func TestSignUpIsRecordedOnce(t *testing.T) { // R66, R67
	w := newWorld(t)
	u, err := w.signUp(pass)
	if err != nil {
		t.Fatal(err)
	}
	e := w.only(t, 0)
	byRequest(t, e, "auth.signed_up", u)
	if len(e.Changes) != 1 || !e.Changes[0].Personal || e.Changes[0].Hash == "" {
		t.Errorf("changes = %+v, want the address as personal", e.Changes)
	}
	_, _ = w.signUp(pass)
	w.only(t, 0)
}

// Whoever completes a sign-up that was cut, the event names the request that began it.
func TestReconciledSignUpNamesItsRequest(t *testing.T) { // R66
	w := newWorld(t)
	w.identity.fail(nil, errors.New("boom"))
	_, _ = w.signUp(pass)
	if events := w.Recorded(t); len(events) != 0 {
		t.Fatalf("a pending sign-up recorded %+v", events)
	}
	w.identity.fail(nil, nil)
	w.now = w.now.Add(time.Minute)
	if err := w.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	var u login.User
	for _, u = range w.identity.users {
	}
	byRequest(t, w.only(t, 0), "auth.signed_up", u)
}

func TestReconcileRecordsLoginsFromBeforeEvents(t *testing.T) {
	w := newWorld(t)
	w.identity.fail(nil, errors.New("boom"))
	_, _ = w.signUp(pass)
	w.identity.fail(nil, nil)
	if _, err := w.Pool.Exec(t.Context(), `update auth.logins set event = null`); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Minute)
	if err := w.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := w.only(t, 0); e.Action != "auth.signed_up" || e.ObjectID == "" || e.Actor.ID != e.ObjectID {
		t.Errorf("event = %+v", e)
	}
}

func TestBootstrapIsRecordedOnce(t *testing.T) { // R66
	w := newWorld(t)
	u, err := w.bootstrap(email, pass)
	if err != nil {
		t.Fatal(err)
	}
	byRequest(t, w.only(t, 0), "auth.bootstrapped", u)
}

// The event of a refused sign-in names the owner of the address, so that the owner sees the
// attempt, but nobody as its actor.
func TestRefusedSignInNamesTheOwner(t *testing.T) { // R66
	w := newWorld(t)
	u, err := w.signUp(pass)
	if err != nil {
		t.Fatal(err)
	}
	for address, owner := range map[string]string{"ADA@Example.com": u.ID, "Nobody@example.com": ""} {
		ctx := postgrestest.Request(t.Context(), "auth.signed_in")
		_, _, err := w.Authenticate(ctx, login.Credentials{Email: address, Password: "wrong horse battery staple"})
		if err == nil {
			t.Fatal("a wrong password signs in")
		}
		if e, ok := event.AttemptOf(err); !ok || e.ObjectID != owner || e.Actor.Type != event.Anonymous {
			t.Errorf("%s: event = %+v, want object %q and no actor", address, e, owner)
		} else if len(e.Changes) != 1 || string(e.Changes[0].Value) != strconv.Quote(strings.ToLower(address)) || !e.Changes[0].Personal {
			t.Errorf("%s: changes = %+v, want the address in lower case, as personal", address, e.Changes)
		}
	}
}

func TestRehashIsRecorded(t *testing.T) { // R66
	w := newWorld(t)
	u, err := w.signUp(pass)
	if err != nil {
		t.Fatal(err)
	}
	ctx := postgrestest.Request(t.Context(), "auth.signed_in")
	if _, _, err := w.with(t, password.Parameters{Memory: 128, Time: 2, Threads: 1}).Authenticate(ctx, login.Credentials{Email: email, Password: pass}); err != nil {
		t.Fatal(err)
	}
	e := w.only(t, 1)
	byRequest(t, e, "auth.password_rehashed", u)
	if len(e.Changes) != 0 {
		t.Errorf("changes = %+v, want none", e.Changes)
	}
}

func TestRemovalIsRecordedOnce(t *testing.T) { // R67
	w := newWorld(t)
	u, err := w.signUp(pass)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Remove(postgrestest.Request(t.Context(), "auth.login_removed"), u.ID); err != nil {
			t.Fatal(err)
		}
	}
	if e := w.only(t, 1); e.Action != "auth.login_removed" || e.ObjectID != u.ID {
		t.Errorf("event = %+v", e)
	}
}

func TestWithoutAnEventNothingHappens(t *testing.T) { // R68
	w := newWorld(t)
	if _, err := w.SignUp(t.Context(), login.SignUp{Email: email, Password: pass}); err == nil || w.state(t) != "" {
		t.Fatalf("SignUp = %v, state %q; want a refusal and nothing stored", err, w.state(t))
	}
	u, err := w.signUp(pass)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Remove(t.Context(), u.ID); err == nil || w.state(t) != login.Active {
		t.Fatalf("Remove = %v, state %q; want a refusal and the login", err, w.state(t))
	}
}
