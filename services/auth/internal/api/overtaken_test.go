package api_test

import (
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

// Whoever signs in with the old password in the moment in which it is changed gets no session (R22):
// not over the API, and not on the page.
func TestASignInThatAPasswordChangeOvertakes(t *testing.T) {
	f := newFixed(t)
	up, err := authv1.NewAuthServiceClient(f.Through("gateway", "sign-up")).SignUp(t.Context(), &authv1.SignUpRequest{Email: email, Password: pass})
	check.NoError(t, err)
	changed := func(old, fresh string) func() {
		return func() {
			_, err := f.logins.ChangePassword(t.Context(), login.PasswordChange{
				UserID: up.GetUser().GetId(), Old: old, New: fresh, Event: postgrestest.Event("auth.password_changed"),
			})
			check.NoError(t, err)
		}
	}
	f.hasher.proven = changed(pass, newPass)
	_, err = authv1.NewAuthServiceClient(f.Through("gateway", "sign-in")).SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: pass})
	refused(t, err, codes.Unauthenticated, "INVALID_CREDENTIALS")

	f.hasher.proven = changed(newPass, pass)
	page, err := authv1.NewPageServiceClient(f.Through("gateway", "page")).SubmitSignIn(t.Context(), &authv1.SubmitSignInRequest{
		Http: form("", "email", email, "password", newPass),
	})
	check.NoError(t, err)
	if page.GetHttp().GetStatus() != http.StatusUnauthorized || header(page.GetHttp(), "Set-Cookie") != "" {
		t.Errorf("the page answers %d with the cookie %q", page.GetHttp().GetStatus(), header(page.GetHttp(), "Set-Cookie"))
	}
	var left int
	check.NoError(t, f.Pool.QueryRow(t.Context(), `select (select count(*) from auth.sessions) + (select count(*) from auth.browser_sessions)`).Scan(&left))
	if left != 0 {
		t.Errorf("%d sessions have begun", left)
	}
}
