package api_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

const newPass = "a new and quite different phrase"

func (a *auth) claimsOf(access string) token.Claims {
	a.t.Helper()
	claims, err := token.NewVerifier(token.Config{Issuer: "https://id.example", Audience: "gatehouse"}, a.keeper, a.list, time.Now).VerifyIssued(a.t.Context(), access)
	check.NoError(a.t, err)
	return claims
}

// atClient signs a person in with a browser and there at a client that may use the platform's API.
func (a *auth) atClient(userID, organizationID string) (b session.Browser, drawn session.Session, access string) {
	a.t.Helper()
	_, b, err := a.browsers.Begin(a.t.Context(), session.Proof{UserID: userID, OrganizationID: organizationID, AMR: []string{"pwd"}, Attempt: event.Event{
		Source: "auth", Caller: "gateway", Action: "auth.signed_in", Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous}, ObjectType: "user",
		ClientAddress: "203.0.113.9", ClientAgent: "Mozilla/5.0",
	}})
	check.NoError(a.t, err)
	drawn, tokens, err := a.sessions.Draw(b, session.Grant{ClientID: "client-of-test", Scope: "openid gatehouse"})
	check.NoError(a.t, err)
	drawn.Audience = []string{}
	a.Below(a.t, drawn)
	return b, drawn, tokens.Access
}

func (a *auth) sessionsOf(access string) authv1.SessionServiceClient {
	return authv1.NewSessionServiceClient(a.bearer(access))
}

func (a *auth) mine(access string) []*authv1.Session {
	a.t.Helper()
	resp, err := a.sessionsOf(access).ListMySessions(a.t.Context(), &authv1.ListMySessionsRequest{})
	check.NoError(a.t, err)
	return resp.GetSessions()
}

func TestPeopleSeeWhereTheyAreSignedIn(t *testing.T) { // R23, R90
	a := newAuth(t)
	id := a.signUp()
	from := a.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), request.ClientAddressHeader, "203.0.113.7", request.ClientAgentHeader, "curl/8")
	in, err := authv1.NewAuthServiceClient(from).SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	check.NoError(t, err)
	own := a.claimsOf(in.GetAccessToken())
	b, drawn, access := a.atClient(id, own.OrganizationID)
	got := a.mine(in.GetAccessToken())
	if len(got) != 2 {
		t.Fatalf("sessions = %v", got)
	}
	browser, rest := got[0], got[1]
	if browser.GetId() != b.ID || !browser.GetBrowser() || browser.GetCurrent() || browser.GetAddress() != "203.0.113.9" || browser.GetUserAgent() != "Mozilla/5.0" ||
		len(browser.GetClients()) != 1 || browser.GetClients()[0].GetId() != drawn.ID || browser.GetClients()[0].GetClientId() != "client-of-test" {
		t.Errorf("the browser session = %v", browser)
	}
	if rest.GetId() != own.SessionID || rest.GetBrowser() || !rest.GetCurrent() || rest.GetAddress() != "203.0.113.7" || rest.GetUserAgent() != "curl/8" ||
		rest.GetCreateTime() == nil || rest.GetSeenTime() == nil || !rest.GetExpireTime().AsTime().After(rest.GetCreateTime().AsTime()) {
		t.Errorf("that of the platform's own sign-in = %v", rest)
	}
	if got := a.mine(access); !got[0].GetCurrent() || !got[0].GetClients()[0].GetCurrent() || got[1].GetCurrent() {
		t.Errorf("with the client's token = %v", got)
	}
	first, err := a.sessionsOf(access).ListMySessions(t.Context(), &authv1.ListMySessionsRequest{PageSize: 1})
	check.NoError(t, err)
	second, err := a.sessionsOf(access).ListMySessions(t.Context(), &authv1.ListMySessionsRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
	check.NoError(t, err)
	if first.GetSessions()[0].GetId() != b.ID || second.GetSessions()[0].GetId() != own.SessionID || second.GetNextPageToken() != "" {
		t.Errorf("pages = %v and %v", first, second)
	}
	a.grants.Allow(id, "can_manage_sessions", "platform:gatehouse")
	_, err = a.sessionsOf(access).ListUserSessions(t.Context(), &authv1.ListUserSessionsRequest{UserId: uuid.NewString(), PageToken: first.GetNextPageToken()})
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT") // a page of another list
}

// R22: what is ended is refused everywhere, at once where it can be.
func (a *auth) dead(access, refresh string) {
	a.t.Helper()
	a.read()
	_, err := a.sessionsOf(access).ListMySessions(a.t.Context(), &authv1.ListMySessionsRequest{})
	refused(a.t, err, codes.Unauthenticated, "TOKEN_REVOKED")
	if refresh != "" {
		_, err = a.people.Refresh(a.t.Context(), &authv1.RefreshRequest{RefreshToken: refresh})
		refused(a.t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	}
}

func TestPeopleEndTheirSessions(t *testing.T) { // R22, R23
	a := newAuth(t)
	id := a.signUp()
	this, other := a.signIn(), a.signIn()
	org := a.claimsOf(this.GetAccessToken()).OrganizationID
	me := a.sessionsOf(this.GetAccessToken())
	_, err := me.EndMySession(t.Context(), &authv1.EndMySessionRequest{SessionId: a.claimsOf(other.GetAccessToken()).SessionID})
	check.NoError(t, err)
	a.dead(other.GetAccessToken(), other.GetRefreshToken())
	b, _, access := a.atClient(id, org)
	_, err = me.EndMySession(t.Context(), &authv1.EndMySessionRequest{SessionId: b.ID})
	check.NoError(t, err)
	a.dead(access, "")
	_, _, access = a.atClient(id, org)
	another := a.signIn()
	_, err = me.EndMyOtherSessions(t.Context(), &authv1.EndMyOtherSessionsRequest{})
	check.NoError(t, err)
	a.dead(access, "")
	a.dead(another.GetAccessToken(), another.GetRefreshToken())
	if got := a.mine(this.GetAccessToken()); len(got) != 1 || !got[0].GetCurrent() {
		t.Errorf("left are %v", got)
	}
	var ended []string
	for _, e := range a.since(0) {
		if e.Action == "auth.session_ended" || e.Action == "auth.sessions_ended" {
			ended = append(ended, e.Action)
			if e.Actor.ID != id || e.ObjectID != id || e.OrganizationID != org || e.Outcome != event.Success {
				t.Errorf("event = %+v", e)
			}
		}
	}
	if want := []string{"auth.session_ended", "auth.session_ended", "auth.sessions_ended"}; !slices.Equal(ended, want) {
		t.Errorf("events = %v, want %v", ended, want)
	}
}

// R52, R93: a session of somebody else is answered like one that nobody has, whoever asks by
// whichever way.
func TestForeignSessionsAreUnknown(t *testing.T) {
	a := newAuth(t)
	victim := a.claimsOf(a.signInAs("victim@example.com").GetAccessToken())
	a.signUp()
	attacker := a.sessionsOf(a.signIn().GetAccessToken())
	answer := func(sessionID string) string {
		t.Helper()
		_, err := attacker.EndMySession(t.Context(), &authv1.EndMySessionRequest{SessionId: sessionID})
		refused(t, err, codes.NotFound, "SESSION_NOT_FOUND")
		return status.Convert(err).String()
	}
	if foreign, random := answer(victim.SessionID), answer(uuid.NewString()); foreign != random {
		t.Errorf("a foreign id is answered %s, a random one %s", foreign, random)
	}
	_, err := attacker.EndMySession(t.Context(), &authv1.EndMySessionRequest{SessionId: "1"})
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	for name, err := range map[string]error{
		"list": func() error {
			_, err := attacker.ListUserSessions(t.Context(), &authv1.ListUserSessionsRequest{UserId: victim.Subject})
			return err
		}(),
		"end one": func() error {
			_, err := attacker.EndUserSession(t.Context(), &authv1.EndUserSessionRequest{UserId: victim.Subject, SessionId: victim.SessionID})
			return err
		}(),
		"end all": func() error {
			_, err := attacker.EndUserSessions(t.Context(), &authv1.EndUserSessionsRequest{UserId: victim.Subject})
			return err
		}(),
	} {
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s of somebody else: %v", name, err)
		}
	}
	if found, err := a.Sessions.Get(t.Context(), victim.SessionID); err != nil || found.UserID != victim.Subject {
		t.Errorf("the session of somebody else: %v", err)
	}
}

// signInAs makes a login of another address, of a person who reads German, and signs it in.
func (a *auth) signInAs(address string) *authv1.SignInResponse {
	a.t.Helper()
	german := metadata.AppendToOutgoingContext(a.t.Context(), request.ClientLanguageHeader, "de-AT, en;q=0.5")
	_, err := a.people.SignUp(german, &authv1.SignUpRequest{Email: address, Password: pass})
	check.NoError(a.t, err)
	in, err := a.people.SignIn(a.t.Context(), &authv1.SignInRequest{Email: address, Password: pass})
	check.NoError(a.t, err)
	return in
}

func TestAdministratorsEndAnybodysSessions(t *testing.T) { // R17, R23
	a := newAuth(t)
	one, another := a.signInAs("user@example.com"), a.signInAs("other@example.com")
	user, other := a.claimsOf(one.GetAccessToken()), a.claimsOf(another.GetAccessToken())
	in, err := a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: "user@example.com", Password: pass})
	check.NoError(t, err)
	root := a.signUp()
	a.grants.Allow(root, "can_manage_sessions", "platform:gatehouse")
	admin := a.sessionsOf(a.signIn().GetAccessToken())
	list, err := admin.ListUserSessions(t.Context(), &authv1.ListUserSessionsRequest{UserId: user.Subject})
	check.NoError(t, err)
	if len(list.GetSessions()) != 2 || list.GetSessions()[0].GetCurrent() {
		t.Errorf("the user's sessions = %v", list)
	}
	_, err = admin.EndUserSession(t.Context(), &authv1.EndUserSessionRequest{UserId: user.Subject, SessionId: other.SessionID})
	refused(t, err, codes.NotFound, "SESSION_NOT_FOUND")
	_, err = admin.EndUserSession(t.Context(), &authv1.EndUserSessionRequest{UserId: user.Subject, SessionId: user.SessionID})
	check.NoError(t, err)
	a.dead(one.GetAccessToken(), one.GetRefreshToken())
	for _, id := range []string{user.Subject, uuid.NewString()} {
		_, err = admin.EndUserSessions(t.Context(), &authv1.EndUserSessionsRequest{UserId: id})
		check.NoError(t, err)
	}
	a.dead(in.GetAccessToken(), in.GetRefreshToken())
	if got := a.mine(another.GetAccessToken()); len(got) != 1 {
		t.Errorf("somebody else's sessions = %v", got)
	}
	events := a.since(0)
	last := events[len(events)-1]
	if last.Action != "auth.sessions_ended" || last.Actor.ID != root || last.ObjectID != user.Subject || last.OrganizationID != user.OrganizationID {
		t.Errorf("event = %+v", last)
	}
	_, err = admin.EndUserSessions(t.Context(), &authv1.EndUserSessionsRequest{UserId: root}) // one's own: nobody else did it
	check.NoError(t, err)
	told := a.office.Read(t, a.Mails)
	if len(told) != 2 || told[0].To != "user@example.com" || told[1].To != told[0].To || told[0].Subject != "Sie wurden von der Administration abgemeldet" {
		t.Errorf("told %+v", told)
	}
}

func TestChangePasswordEndsTheOthers(t *testing.T) { // R5, R22, R66
	a := newAuth(t)
	id := a.signUp()
	this, other := a.signIn(), a.signIn()
	me := a.sessionsOf(this.GetAccessToken())
	for range 3 {
		_, err := me.ChangePassword(t.Context(), &authv1.ChangePasswordRequest{OldPassword: "wrong horse battery staple", NewPassword: newPass})
		refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	}
	events := a.since(3)
	if len(events) < 1 || len(events) > 2 { // the others are counted until their minute is over, which may be now
		t.Fatalf("%d events of three refusals: %+v", len(events), events)
	}
	if e := events[0]; e.Action != "auth.password_changed" || e.Outcome != event.Failure || e.Reason != "INVALID_CREDENTIALS" || e.ObjectID != id || e.Actor.ID != id {
		t.Errorf("event = %+v", e)
	}
	_, err := me.ChangePassword(t.Context(), &authv1.ChangePasswordRequest{OldPassword: pass, NewPassword: "gatehousegatehouse"})
	refused(t, err, codes.InvalidArgument, "PASSWORD_REFUSED")
	_, err = me.ChangePassword(t.Context(), &authv1.ChangePasswordRequest{OldPassword: pass, NewPassword: newPass})
	check.NoError(t, err)
	a.dead(other.GetAccessToken(), other.GetRefreshToken())
	if got := a.mine(this.GetAccessToken()); len(got) != 1 || !got[0].GetCurrent() {
		t.Errorf("left are %v", got)
	}
	_, err = a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")
	_, err = a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: newPass})
	check.NoError(t, err)
}
