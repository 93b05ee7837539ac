package api_test

import (
	"regexp"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// A reset refuses every token of before, at once where they are refreshed and, by the feed, where
// they are shown; the answers to who asks for a mail are one.
func TestAResetEndsTokens(t *testing.T) { // R15, R22
	a := newAuth(t)
	a.signUp()
	tokens := a.signIn()
	people := authv1.NewRecoveryServiceClient(a.As("gateway"))
	for _, address := range []string{email, "nobody@example.com"} {
		if got, err := people.Recover(t.Context(), &authv1.RecoverRequest{Email: address}); err != nil || got.String() != "" {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
	_, err := people.Recover(t.Context(), &authv1.RecoverRequest{Email: "no address"})
	refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	told := a.office.Read(t, a.Mails)
	if len(told) != 1 || told[0].To != email {
		t.Fatalf("told %+v", told)
	}
	code := regexp.MustCompile(`code=(\S+)`).FindStringSubmatch(told[0].Text)[1]
	_, err = people.ResetPassword(t.Context(), &authv1.ResetPasswordRequest{Code: "guessed", NewPassword: "another phrase of mine"})
	refused(t, err, codes.Unauthenticated, "INVALID_MAILED_CODE")
	_, err = people.ResetPassword(t.Context(), &authv1.ResetPasswordRequest{Code: code, NewPassword: "another phrase of mine"})
	check.NoError(t, err)
	_, err = a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: tokens.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	a.read()
	_, err = authv1.NewSessionServiceClient(a.bearer(tokens.GetAccessToken())).ListMySessions(t.Context(), &authv1.ListMySessionsRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_REVOKED")
}
