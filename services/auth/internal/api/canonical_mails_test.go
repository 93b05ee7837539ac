package api_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
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
}
