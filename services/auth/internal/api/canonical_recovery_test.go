package api_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
)

// recoverPasswords lets a person recover the password over the API and on the pages, and an
// administrator start that and try mail.
func (f *fixed) recoverPasswords(t *testing.T, signIn func(requestID, address string) (*authv1.SignInResponse, error)) {
	t.Helper()
	ctx := t.Context()
	told := func() (code string) {
		t.Helper()
		for _, m := range f.office.Read(t, f.Mails) {
			if found := regexp.MustCompile(`reset-password\?code=(\S+)`).FindStringSubmatch(m.Text); found != nil {
				code = found[1]
			}
		}
		return code
	}
	people := func(requestID string) authv1.RecoveryServiceClient {
		return authv1.NewRecoveryServiceClient(f.Through("gateway", requestID))
	}
	for _, address := range []string{"Dora@Example.com", "Nobody@example.com"} {
		_, err := people("recover").Recover(ctx, &authv1.RecoverRequest{Email: address})
		check.NoError(t, err)
	}
	ask := &authv1.ResetPasswordRequest{Code: told(), NewPassword: newPass}
	_, err := people("reset").ResetPassword(ctx, ask)
	check.NoError(t, err)
	_, err = people("reset-again").ResetPassword(ctx, ask)
	refused(t, err, codes.Unauthenticated, "INVALID_MAILED_CODE")
	pages := authv1.NewPageServiceClient(f.Through("gateway", "page-recover"))
	_, err = pages.SubmitRecover(ctx, &authv1.SubmitRecoverRequest{Http: form("", "email", "dora@example.com")})
	check.NoError(t, err)
	shown, err := pages.SubmitResetPassword(ctx, &authv1.SubmitResetPasswordRequest{
		Http: form("", "code", told(), "new_password", pass, "repeat", pass),
	})
	if err != nil || shown.GetHttp().GetStatus() != 303 {
		t.Fatalf("%v, %v", shown.GetHttp().GetStatus(), err)
	}
	in, err := signIn("sign-in-for-mails", "root@example.com")
	check.NoError(t, err)
	var root, dora string
	check.NoError(t, f.Pool.QueryRow(ctx, `
		select (select user_id::text from auth.logins where email = 'root@example.com'), (select user_id::text from auth.logins where email = 'dora@example.com')`).Scan(&root, &dora))
	f.grants.Allow(root, "can_manage_sessions", "platform:gatehouse")
	f.grants.Allow(root, "can_manage_mail", "platform:gatehouse")
	as := f.Through("gateway", "administrator-of-mails", "authorization", "Bearer "+in.GetAccessToken())
	_, err = authv1.NewRecoveryServiceClient(as).StartUserReset(ctx, &authv1.StartUserResetRequest{UserId: dora})
	check.NoError(t, err)
	_, err = authv1.NewMailServiceClient(as).SendTestMail(ctx, &authv1.SendTestMailRequest{Email: "eve@example.com"})
	check.NoError(t, err)
	f.changeEmails(t)
}

// accepting takes over every address.
type accepting struct{}

func (accepting) SetEmail(context.Context, login.Email) error { return nil }

// changeEmails gives a person another address, over the API and on the pages.
func (f *fixed) changeEmails(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	told := func() string {
		t.Helper()
		for _, m := range f.office.Read(t, f.Mails) {
			if found := regexp.MustCompile(`confirm-email\?code=(\S+)`).FindStringSubmatch(m.Text); found != nil {
				return found[1]
			}
		}
		return ""
	}
	in, err := authv1.NewAuthServiceClient(f.Through("gateway", "sign-in-of-dora")).SignIn(ctx, &authv1.SignInRequest{Email: "dora@example.com", Password: pass})
	check.NoError(t, err)
	me := authv1.NewEmailServiceClient(f.Through("gateway", "email", "authorization", "Bearer "+in.GetAccessToken()))
	_, err = me.ChangeEmail(ctx, &authv1.ChangeEmailRequest{NewEmail: "Dora@example.org"})
	check.NoError(t, err)
	_, err = me.ConfirmEmail(ctx, &authv1.ConfirmEmailRequest{Code: "guessed"})
	refused(t, err, codes.Unauthenticated, "INVALID_MAILED_CODE")
	_, err = me.ConfirmEmail(ctx, &authv1.ConfirmEmailRequest{Code: told()})
	check.NoError(t, err)
	pages := authv1.NewPageServiceClient(f.Through("gateway", "page-email"))
	page, err := pages.SubmitSignIn(ctx, &authv1.SubmitSignInRequest{Http: form("", "email", "dora@example.org", "password", pass)})
	check.NoError(t, err)
	cookie, _, _ := strings.Cut(header(page.GetHttp(), "Set-Cookie"), ";")
	_, err = pages.SubmitEmail(ctx, &authv1.SubmitEmailRequest{Http: form(cookie, "new_email", "dora@example.net")})
	check.NoError(t, err)
	page2, err := pages.SubmitConfirmEmail(ctx, &authv1.SubmitConfirmEmailRequest{Http: form(cookie, "code", told())})
	if err != nil || page2.GetHttp().GetStatus() != 303 {
		t.Fatalf("%v, %v", page2.GetHttp().GetStatus(), err)
	}
}
