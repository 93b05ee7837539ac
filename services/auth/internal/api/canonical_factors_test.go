package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// useFactors lets a person enrol an authenticator, sign in with it over the API and on the pages,
// and remove it, and an organization require one.
func (f *fixed) useFactors(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	code := func(secret string) string {
		t.Helper()
		f.now = f.now.Add(time.Minute)
		text, err := totp.GenerateCode(secret, f.now)
		check.NoError(t, err)
		return text
	}
	people := func(requestID string) authv1.AuthServiceClient {
		return authv1.NewAuthServiceClient(f.Through("gateway", requestID))
	}
	credentials := &authv1.SignInRequest{Email: "carol@example.com", Password: newPass}
	in, err := people("factor-sign-in").SignIn(ctx, credentials)
	check.NoError(t, err)
	access := in.GetAccessToken()
	mine := func(requestID string) authv1.FactorServiceClient {
		return authv1.NewFactorServiceClient(f.Through("gateway", requestID, "authorization", "Bearer "+access))
	}
	offer, err := mine("factor-offer").OfferTotp(ctx, &authv1.OfferTotpRequest{})
	check.NoError(t, err)
	e := offer.GetEnrolment()
	_, err = mine("factor-confirm-wrong").ConfirmTotp(ctx, &authv1.ConfirmTotpRequest{Token: e.GetToken(), Code: "wrong"})
	refused(t, err, codes.Unauthenticated, "INVALID_SECOND_FACTOR")
	_, err = mine("factor-confirm").ConfirmTotp(ctx, &authv1.ConfirmTotpRequest{Token: e.GetToken(), Code: code(e.GetSecret())})
	check.NoError(t, err)
	replaced, err := mine("factor-codes").ReplaceRecoveryCodes(ctx, &authv1.ReplaceRecoveryCodesRequest{})
	check.NoError(t, err)
	in, err = people("factor-challenge").SignIn(ctx, credentials)
	check.NoError(t, err)
	answer := func(requestID, code, recovery string) (*authv1.AnswerChallengeResponse, error) {
		return people(requestID).AnswerChallenge(ctx, &authv1.AnswerChallengeRequest{Token: in.GetChallenge().GetToken(), Code: code, RecoveryCode: recovery})
	}
	_, err = answer("factor-wrong", "000000", "")
	refused(t, err, codes.Unauthenticated, "INVALID_SECOND_FACTOR")
	_, err = answer("factor-recovery", "", replaced.GetRecoveryCodes()[0])
	check.NoError(t, err)
	answered, err := answer("factor-code", code(e.GetSecret()), "")
	check.NoError(t, err)
	access = answered.GetAccessToken()

	pages := authv1.NewPageServiceClient(f.Through("gateway", "factor-page"))
	asked, err := pages.SubmitSignIn(ctx, &authv1.SubmitSignInRequest{Http: form("", "email", "carol@example.com", "password", newPass)})
	check.NoError(t, err)
	challenge, _, _ := strings.Cut(header(asked.GetHttp(), "Set-Cookie"), ";")
	done, err := pages.SubmitCode(ctx, &authv1.SubmitCodeRequest{Http: form(challenge, "code", code(e.GetSecret()))})
	if check.NoError(t, err); done.GetHttp().GetStatus() != 303 {
		t.Errorf("the page of the code: %d", done.GetHttp().GetStatus())
	}

	f.requireFactor(t, access)
}

// requireFactor lets an organization require a second factor, and its member remove it afterwards.
func (f *fixed) requireFactor(t *testing.T, access string) {
	t.Helper()
	ctx := t.Context()
	mine := func(requestID string) authv1.FactorServiceClient {
		return authv1.NewFactorServiceClient(f.Through("gateway", requestID, "authorization", "Bearer "+access))
	}
	claims, err := f.verifier.Verify(ctx, access)
	check.NoError(t, err)
	policy := &authv1.SetSignInPolicyRequest{Policy: &authv1.SignInPolicy{OrganizationId: claims.OrganizationID, SecondFactorRequired: true}}
	f.grants.Allow(claims.Subject, "can_update", "organization:"+claims.OrganizationID)
	_, err = mine("factor-policy").SetSignInPolicy(ctx, policy)
	check.NoError(t, err)
	_, err = mine("factor-remove-required").RemoveTotp(ctx, &authv1.RemoveTotpRequest{})
	refused(t, err, codes.FailedPrecondition, "SECOND_FACTOR_REQUIRED")
	policy.Policy.SecondFactorRequired = false
	_, err = mine("factor-policy-off").SetSignInPolicy(ctx, policy)
	check.NoError(t, err)
	_, err = mine("factor-remove").RemoveTotp(ctx, &authv1.RemoveTotpRequest{})
	check.NoError(t, err)
}
