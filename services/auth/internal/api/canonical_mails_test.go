package api_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// verifyEmails completes sign-ups by codes, over the API and on the page.
func (f *fixed) verifyEmails(t *testing.T) {
	t.Helper()
	mailed := func(address string) string {
		hash, err := f.hasher.Hash(t.Context(), pass)
		check.NoError(t, err)
		waits, code := proof.New(proof.SignUp, address, f.now)
		waits.PasswordHash, waits.DisplayName = hash, "Dora"
		check.NoError(t, f.logins.Codes.Ask(t.Context(), waits, nil, postgrestest.Event("auth.sign_up_requested")))
		return string(code)
	}
	people := authv1.NewAuthServiceClient(f.Through("gateway", "verify-email"))
	request := &authv1.VerifyEmailRequest{Code: mailed("dora@example.com"), Password: pass}
	_, err := people.VerifyEmail(t.Context(), request)
	check.NoError(t, err)
	_, err = people.VerifyEmail(t.Context(), request)
	refused(t, err, codes.Unauthenticated, "INVALID_MAILED_CODE")
	pages := authv1.NewPageServiceClient(f.Through("gateway", "page-verify-email"))
	shown, err := pages.SubmitVerifyEmail(t.Context(), &authv1.SubmitVerifyEmailRequest{Http: form("", "code", mailed("dirk@example.com"), "password", pass)})
	if err != nil || shown.GetHttp().GetStatus() != 303 {
		t.Fatalf("%v, %v", shown.GetHttp().GetStatus(), err)
	}
	f.requestVerifications(t)
}

// requestVerifications asks for codes that verify an address, over the API and on the page.
func (f *fixed) requestVerifications(t *testing.T) {
	t.Helper()
	people := authv1.NewAuthServiceClient(f.Through("gateway", "sign-in-to-verify"))
	in, err := people.SignIn(t.Context(), &authv1.SignInRequest{Email: "root@example.com", Password: pass})
	check.NoError(t, err)
	sessions := authv1.NewSessionServiceClient(f.Through("gateway", "request-verification", "authorization", "Bearer "+in.GetAccessToken()))
	_, err = sessions.RequestEmailVerification(t.Context(), &authv1.RequestEmailVerificationRequest{})
	refused(t, err, codes.FailedPrecondition, "MAIL_NOT_CONFIGURED")
	f.logins.Desk = mailtest.NewOffice(t, func() time.Time { return f.now }).Desk
	_, err = sessions.RequestEmailVerification(t.Context(), &authv1.RequestEmailVerificationRequest{})
	check.NoError(t, err)
	pages := authv1.NewPageServiceClient(f.Through("gateway", "page-request-verification"))
	shown, err := pages.SubmitSignIn(t.Context(), &authv1.SubmitSignInRequest{Http: form("", "email", "root@example.com", "password", pass)})
	check.NoError(t, err)
	cookie, _, _ := strings.Cut(header(shown.GetHttp(), "Set-Cookie"), ";")
	asked, err := pages.SubmitEmailVerification(t.Context(), &authv1.SubmitEmailVerificationRequest{Http: form(cookie)})
	if err != nil || asked.GetHttp().GetStatus() != 303 {
		t.Fatalf("%v, %v", asked.GetHttp().GetStatus(), err)
	}
}
