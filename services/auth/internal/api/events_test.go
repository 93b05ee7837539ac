package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// since returns what the test has recorded after its first n events.
func (a *auth) since(n int) []event.Event {
	a.t.Helper()
	return a.Recorded(a.t)[a.before+n:]
}

// value is the value of a changed field, "" if the event has none.
func value(e event.Event, field string) string {
	i := slices.IndexFunc(e.Changes, func(c event.Change) bool { return c.Field == field })
	if i < 0 {
		return ""
	}
	var text string
	_ = json.Unmarshal(e.Changes[i].Value, &text) // what is not a string is ""
	return text
}

func TestEachChangeIsOneEvent(t *testing.T) { // R66, R67
	a := newAuth(t)
	id := a.signUp()
	in := a.signIn()
	next, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authv1.NewAuthServiceClient(a.bearer(next.GetAccessToken())).SignOut(t.Context(), &authv1.SignOutRequest{}); err != nil {
		t.Fatal(err)
	}
	identity := authv1.NewLoginServiceClient(a.As("identity"))
	for range 2 {
		if _, err := identity.RemoveLogin(t.Context(), &authv1.RemoveLoginRequest{UserId: strings.ToUpper(id)}); err != nil {
			t.Fatal(err)
		}
	}
	var actions []string
	for _, e := range a.since(0) {
		actions = append(actions, e.Action)
		if e.Outcome != event.Success || e.ObjectType != "user" || e.ObjectID != id || e.RequestID == "" || e.Source != "auth" {
			t.Errorf("event = %+v", e)
		}
		if e.Action == "auth.login_removed" {
			if want := (event.Actor{Type: event.Service, ID: "identity"}); e.Actor != want {
				t.Errorf("%s by %+v, want %+v", e.Action, e.Actor, want)
			}
			continue
		}
		if e.Actor.Type != event.User || e.Actor.ID != id || e.Caller != "gateway" || (e.Actor.SessionID == "") != (e.Action == "auth.signed_up") {
			t.Errorf("%s by %+v through %s, want user %s and the session", e.Action, e.Actor, e.Caller, id)
		}
	}
	want := []string{"auth.signed_up", "auth.signed_in", "auth.session_refreshed", "auth.signed_out", "auth.login_removed"}
	if !slices.Equal(actions, want) {
		t.Fatalf("actions = %v, want %v", actions, want)
	}
}

func TestRefusedSignInsAreEvents(t *testing.T) { // R66
	a := newAuth(t)
	id := a.signUp()
	for _, address := range []string{email, "nobody@example.com"} {
		for range 3 {
			_, err := a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: address, Password: "wrong horse battery staple"})
			refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
		}
	}
	events := a.since(1)
	if len(events) < 2 || len(events) > 4 { // the others are counted until their minute is over, which may be now
		t.Fatalf("%d events of six refusals: %+v", len(events), events)
	}
	known, unknown := false, false
	for _, e := range events {
		if e.Action != "auth.signed_in" || e.Outcome != event.Failure || e.Reason != "INVALID_CREDENTIALS" || e.Actor.Type != event.Anonymous {
			t.Errorf("event = %+v", e)
		}
		known = known || e.ObjectID == id && value(e, "email") == email
		unknown = unknown || e.ObjectID == "" && value(e, "email") == "nobody@example.com"
	}
	if !known || !unknown {
		t.Errorf("events = %+v, want one of the user and one of nobody", events)
	}
}

func TestReusedRefreshTokenIsAnEvent(t *testing.T) { // R33, R66
	a := newAuth(t)
	id := a.signUp()
	in := a.signIn()
	if _, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()}); err != nil {
		t.Fatal(err)
	}
	_, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	events := a.since(3)
	if len(events) != 2 {
		t.Fatalf("events = %+v, want the end of the session and the refusal", events)
	}
	ended, failed := events[0], events[1]
	if ended.Action != "auth.session_ended" || value(ended, "cause") != "REFRESH_TOKEN_REUSED" || value(ended, "session_id") == "" || ended.ObjectID != id {
		t.Errorf("event = %+v, want the end of the session", ended)
	}
	if failed.Action != "auth.session_refreshed" || failed.Outcome != event.Failure || failed.Reason != "INVALID_REFRESH_TOKEN" || failed.ObjectID != id {
		t.Errorf("event = %+v, want the refusal", failed)
	}
}

func TestEventsHoldNoSecrets(t *testing.T) { // R74
	a := newAuth(t)
	a.signUp()
	in := a.signIn()
	_, _ = a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	_, _ = a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	_, _ = a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: "wrong horse battery staple"})
	_, _ = a.people.Bootstrap(t.Context(), &authv1.BootstrapRequest{Secret: secret, Email: "admin@example.com", Password: pass})
	_, _ = a.people.Bootstrap(t.Context(), &authv1.BootstrapRequest{Secret: "a guess", Email: "admin@example.com", Password: pass})
	rows, err := a.Pool.Query(t.Context(), `select encode(payload, 'escape') from auth.outbox union all select to_jsonb(r)::text from auth.refusals r`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := 0
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		found++
		for name, canary := range map[string]string{
			"password": pass, "wrong password": "wrong horse battery staple", "secret": secret, "guess": "a guess",
			"access token": in.GetAccessToken(), "refresh token": in.GetRefreshToken(),
		} {
			if strings.Contains(text, canary) {
				t.Errorf("a row holds the %s: %q", name, text)
			}
		}
	}
	if rows.Err() != nil || found < a.before+6 {
		t.Fatalf("%d rows, %v", found, rows.Err())
	}
}

func TestSignUpPassesIdentitysTokenOn(t *testing.T) { // R63
	a := newAuth(t)
	var trailer metadata.MD
	_, err := a.people.SignUp(t.Context(), &authv1.SignUpRequest{Email: email, Password: pass}, grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if got := trailer.Get(request.ConsistencyHeader); len(got) != 1 || got[0] != identityToken() {
		t.Fatalf("tokens = %v, want %s", got, identityToken())
	}
}

func TestBootstrap(t *testing.T) { // R16, R63
	a := newAuth(t)
	_, err := a.people.Bootstrap(t.Context(), &authv1.BootstrapRequest{Secret: "a guess", Email: email, Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_BOOTSTRAP_SECRET")
	if events := a.since(0); len(events) != 1 || events[0].Action != "auth.bootstrapped" || events[0].Outcome != event.Failure {
		t.Fatalf("events of a refusal = %+v", events)
	}
	var trailer metadata.MD
	resp, err := a.people.Bootstrap(t.Context(), &authv1.BootstrapRequest{Secret: secret, Email: email, Password: pass}, grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	id := resp.GetUser().GetId()
	got := trailer.Get(request.ConsistencyHeader)
	if len(got) != 1 || len(a.Related(t)[got[0]].Writes) != 1 || a.Related(t)[got[0]].Writes[0].String() != "platform:gatehouse#administrator@user:"+id {
		t.Fatalf("tokens = %v of %v, want that of the administrator", got, a.Related(t))
	}
	if events := a.since(1); len(events) != 1 || events[0].Action != "auth.bootstrapped" || events[0].Outcome != event.Success || events[0].ObjectID != id {
		t.Fatalf("events = %+v", events)
	}
	a.signIn()
	_, err = a.people.Bootstrap(t.Context(), &authv1.BootstrapRequest{Secret: secret, Email: "b@example.com", Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_BOOTSTRAP_SECRET")
}
