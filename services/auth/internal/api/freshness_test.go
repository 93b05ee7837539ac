package api_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// aged is an access token as good as the one given, of a person who was proven so long ago.
func (a *auth) aged(access string, ago time.Duration) string {
	a.t.Helper()
	claims := a.claimsOf(access)
	claims.AuthTime, claims.ID = time.Now().Add(-ago), uuid.NewString()
	compact, err := a.keeper.Sign(claims)
	check.NoError(a.t, err)
	return compact
}

// R17: whoever finds a signed-in device changes no password and ends nobody's session with it, and
// a refresh makes no old sign-in a fresh one.
func TestOldSignInsChangeNothing(t *testing.T) {
	a := newAuth(t)
	other := a.claimsOf(a.signInAs("other@example.com").GetAccessToken())
	root := a.signUp()
	a.grants.Allow(root, "can_manage_sessions", "platform:gatehouse")
	in := a.signIn()
	a.grants.Allow(root, "can_update", "organization:"+other.OrganizationID)
	ctx := t.Context()
	calls := []func(access string) error{
		func(access string) error {
			_, err := a.sessionsOf(access).EndUserSession(ctx, &authv1.EndUserSessionRequest{UserId: other.Subject, SessionId: other.SessionID})
			return err
		},
		func(access string) error {
			_, err := a.sessionsOf(access).EndUserSessions(ctx, &authv1.EndUserSessionsRequest{UserId: other.Subject})
			return err
		},
		func(access string) error {
			policy := &authv1.SignInPolicy{OrganizationId: other.OrganizationID, SecondFactorRequired: false}
			_, err := a.factorsOf(access).SetSignInPolicy(ctx, &authv1.SetSignInPolicyRequest{Policy: policy})
			return err
		},
		func(access string) error {
			_, err := a.sessionsOf(access).ChangePassword(ctx, &authv1.ChangePasswordRequest{OldPassword: pass, NewPassword: newPass})
			return err
		},
	}
	old := a.aged(in.GetAccessToken(), token.FreshFor+time.Minute)
	a.Unchanged(t, "an old sign-in", func() {
		for _, call := range calls {
			refused(t, call(old), codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED")
		}
	})
	for _, call := range calls { // the control
		check.NoError(t, call(in.GetAccessToken()))
	}
}

// R17: what a refresh hands out is of the same sign-in.
func TestRefreshedTokensAreOfTheirSignIn(t *testing.T) {
	a := newAuth(t)
	a.signUp()
	in := a.signIn()
	signedIn := a.claimsOf(in.GetAccessToken()).AuthTime
	if signedIn.IsZero() || time.Since(signedIn) > time.Minute {
		t.Fatalf("the token says that the person was proven at %s", signedIn)
	}
	_, err := a.Pool.Exec(t.Context(), `update auth.sessions set auth_time = auth_time - interval '1 hour'`)
	check.NoError(t, err)
	next, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: in.GetRefreshToken()})
	check.NoError(t, err)
	if got := a.claimsOf(next.GetAccessToken()).AuthTime; signedIn.Sub(got).Round(time.Second) != time.Hour {
		t.Errorf("after a refresh the token says %s, want an hour before %s", got, signedIn)
	}
	_, err = a.sessionsOf(next.GetAccessToken()).ChangePassword(t.Context(), &authv1.ChangePasswordRequest{OldPassword: pass, NewPassword: newPass})
	refused(t, err, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED")
}
