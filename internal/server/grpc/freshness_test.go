package grpcserver_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/contract"
	"github.com/gatehouse/gatehouse/internal/request"
	grpcserver "github.com/gatehouse/gatehouse/internal/server/grpc"
	"github.com/gatehouse/gatehouse/internal/testkit/grpctest"
	"github.com/gatehouse/gatehouse/internal/testkit/meshtest"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// R17: a sign-in is fresh for five minutes, then the same token is refused until the person signs
// in again; what needs none goes on with it. The right to the object does not replace it.
func TestFreshSignIn(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	ran := 0
	d := newDemo(t)
	d.unary = func(_ context.Context, in *message) (*message, error) {
		ran++
		return in, nil
	}
	grants := grpctest.NewGrants()
	s := start(t, d, grpctest.Config{Now: func() time.Time { return now }, Permissions: grants})
	claims := s.Tokens.Claims(me)
	grants.Allow(me, "can_manage", "platform:gatehouse")
	conn := s.AsUser(claims)
	for _, c := range []struct {
		name   string
		method string
		after  time.Duration
		code   codes.Code
		reason string
	}{
		{"at once", "FreshSignIn", 0, codes.OK, ""},
		{"at the last moment", "FreshSignIn", token.FreshFor, codes.OK, ""},
		{"with a right, at the last moment", "FreshPlatform", token.FreshFor, codes.OK, ""},
		{"a second later", "FreshSignIn", token.FreshFor + time.Second, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED"},
		{"with a right, a second later", "FreshPlatform", token.FreshFor + time.Second, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED"},
		{"where none is needed", "SignedIn", token.FreshFor + time.Second, codes.OK, ""},
	} {
		ran, now = 0, claims.AuthTime.Add(c.after)
		err := d.call(t.Context(), conn, c.method, "id", me)
		if code, reason := outcome(err); code != c.code || reason != c.reason || (ran == 1) != (c.code == codes.OK) {
			t.Errorf("%s: %s %q (%v), the handler ran %d times; want %s %q", c.name, code, reason, err, ran, c.code, c.reason)
		}
	}
	again := claims
	again.AuthTime = now
	if err := d.call(t.Context(), s.AsUser(again), "FreshSignIn"); err != nil {
		t.Errorf("after another sign-in: %v", err)
	}
}

// R17: every method whose contract asks for a fresh sign-in refuses every token that has none
// before its handler runs, at the program that serves it; no other method does.
func TestEveryMethodThatAsksForAFreshSignIn(t *testing.T) {
	c := meshtest.Contract(t)
	ran := map[string]bool{}
	servers := map[string]*grpctest.Server{}
	asking := 0
	for _, m := range c.Methods() {
		if m.Program == "" || m.Has(contract.Public) || m.Has(contract.Service) {
			continue
		}
		s := servers[m.Program]
		if s == nil {
			s = grpctest.New(t, grpctest.Config{
				Program: m.Program, Registrations: grpctest.Hollow(c, m.Program, func(method string) { ran[method] = true }), Callers: grpctest.Consenting(t),
			})
			servers[m.Program] = s
		}
		if m.FreshSignIn {
			asking++
		}
		user := uuid.NewString()
		as := func(bearer string) (codes.Code, string) {
			return outcome(call(t.Context(), s.Dial(request.CallerHeader, grpctest.SPIFFE("gateway"), "authorization", "Bearer "+bearer), m))
		}
		for name, old := range s.Tokens.Old(user) {
			code, reason := as(old)
			if refused := code == codes.Unauthenticated && reason == "FRESH_SIGN_IN_REQUIRED"; refused != m.FreshSignIn {
				t.Errorf("%s with a token %s: %s %s; its contract says fresh_sign_in: %t", m.FullName, name, code, reason, m.FreshSignIn)
			}
		}
		if m.FreshSignIn && ran[m.FullName] {
			t.Errorf("%s ran with a token that is not fresh", m.FullName)
		}
		if code, reason := as(s.Tokens.Sign(s.Tokens.Claims(user))); code == codes.Unauthenticated { // the control
			t.Errorf("%s after a fresh sign-in: %s %s", m.FullName, code, reason)
		}
	}
	if asking < 3 {
		t.Errorf("only %d methods ask for a fresh sign-in: the walk looks in the wrong place", asking)
	}
}

// passwords changes every password.
type passwords struct {
	authv1.UnimplementedSessionServiceServer
}

func (passwords) ChangePassword(context.Context, *authv1.ChangePasswordRequest) (*authv1.ChangePasswordResponse, error) {
	return &authv1.ChangePasswordResponse{}, nil
}

// R17: the service's own door says so in the words of RFC 9470.
func TestDoorAsksForAFreshSignIn(t *testing.T) {
	s, url, fresh := doorOf(t, "auth", nil, grpcserver.Registration{
		Desc: &authv1.SessionService_ServiceDesc, Impl: passwords{}, REST: authv1.RegisterSessionServiceHandler,
	})
	const body = `{"old_password":"correct horse battery staple","new_password":"a new and quite different phrase"}`
	for name, old := range s.Tokens.Old(me) {
		a := send(t, "POST", url+"/api/v1/me/password", body, "Authorization", "Bearer "+old)
		const challenge = `Bearer realm="gatehouse", error="insufficient_user_authentication", max_age="300"`
		if a.StatusCode != http.StatusUnauthorized || a.reason() != "FRESH_SIGN_IN_REQUIRED" || a.Header.Get("WWW-Authenticate") != challenge {
			t.Errorf("with a token %s: %d %s, WWW-Authenticate %q", name, a.StatusCode, a.body, a.Header.Get("WWW-Authenticate"))
		}
	}
	if a := send(t, "POST", url+"/api/v1/me/password", body, "Authorization", fresh); a.StatusCode != http.StatusNoContent { // the control
		t.Errorf("after a fresh sign-in: %d %s", a.StatusCode, a.body)
	}
}
