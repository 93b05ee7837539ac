package api_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"google.golang.org/grpc/codes"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/token"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
)

// factorsOf is FactorService as whoever has a token calls it.
func (a *auth) factorsOf(access string) authv1.FactorServiceClient {
	return authv1.NewFactorServiceClient(a.bearer(access))
}

// code is what the authenticator with a secret shows now.
func (a *auth) code(secret string) string {
	a.t.Helper()
	text, err := totp.GenerateCode(secret, time.Now().Add(a.ahead))
	check.NoError(a.t, err)
	return text
}

// enrol enrols an authenticator, whose next code comes at once.
func (a *auth) enrol(access string) (secret string, recovery []string) {
	a.t.Helper()
	offer, err := a.factorsOf(access).OfferTotp(a.t.Context(), &authv1.OfferTotpRequest{})
	check.NoError(a.t, err)
	e := offer.GetEnrolment()
	confirmed, err := a.factorsOf(access).ConfirmTotp(a.t.Context(), &authv1.ConfirmTotpRequest{Token: e.GetToken(), Code: a.code(e.GetSecret())})
	check.NoError(a.t, err)
	a.ahead += time.Minute
	return e.GetSecret(), confirmed.GetRecoveryCodes()
}

func (a *auth) answer(token, code, recovery string) (*authv1.AnswerChallengeResponse, error) {
	return a.people.AnswerChallenge(a.t.Context(), &authv1.AnswerChallengeRequest{Token: token, Code: code, RecoveryCode: recovery})
}

func TestSignInAsksForTheSecondFactor(t *testing.T) { // R13
	a := newAuth(t)
	a.signUp()
	secret, recovery := a.enrol(a.signIn().GetAccessToken())
	in := a.signIn()
	c := in.GetChallenge()
	if in.GetAccessToken() != "" || in.GetRefreshToken() != "" || c.GetToken() == "" || !slices.Equal(c.GetMethods(), []string{"totp", "recovery_code"}) || c.GetEnrolment() != nil {
		t.Fatalf("%v", in)
	}
	_, err := a.answer(c.GetToken(), "000000", "")
	refused(t, err, codes.Unauthenticated, "INVALID_SECOND_FACTOR")
	used := a.code(secret)
	got, err := a.answer(c.GetToken(), used, "")
	check.NoError(t, err)
	mine, err := a.factorsOf(got.GetAccessToken()).GetMyFactors(t.Context(), &authv1.GetMyFactorsRequest{})
	if check.NoError(t, err); mine.GetTotp() == nil || mine.GetRecoveryCodes() != 10 || mine.GetRequired() {
		t.Errorf("%v", mine)
	}
	_, err = a.answer(c.GetToken(), used, "")
	refused(t, err, codes.Unauthenticated, "INVALID_SECOND_FACTOR")
	_, err = a.answer(c.GetToken(), "", recovery[0])
	check.NoError(t, err)
	_, err = a.answer(c.GetToken(), "", recovery[0])
	refused(t, err, codes.Unauthenticated, "INVALID_SECOND_FACTOR")
	var amr []string
	check.NoError(t, a.Pool.QueryRow(t.Context(), `select amr from auth.sessions where id = $1`, a.claimsOf(got.GetAccessToken()).SessionID).Scan(&amr))
	if !slices.Equal(amr, []string{"pwd", "otp", "mfa"}) {
		t.Errorf("the session is of %v", amr)
	}
	var actions []string
	for _, e := range a.Recorded(t) {
		actions = append(actions, e.Action+" "+string(e.Outcome))
	}
	for _, want := range []string{"auth.totp_enrolled success", "auth.sign_in_challenged success", "auth.signed_in success", "auth.recovery_code_used success"} {
		if !slices.Contains(actions, want) {
			t.Errorf("%q is not recorded: %v", want, actions)
		}
	}
	a.isNowhere(append(recovery, secret, used+`"`, c.GetToken(), got.GetAccessToken(), got.GetRefreshToken()))
}

// isNowhere fails the test when a secret is in the log or in the database.
func (a *auth) isNowhere(secrets []string) {
	a.t.Helper()
	var stored string
	check.NoError(a.t, a.Pool.QueryRow(a.t.Context(), `
		select concat((select string_agg(encode(payload, 'escape'), ' ') from auth.outbox), (select string_agg(x::text, ' ') from auth.totp x),
		    (select string_agg(x::text, ' ') from auth.recovery_codes x), (select string_agg(x::text, ' ') from auth.failures x),
		    (select string_agg(x::text, ' ') from auth.refusals x), (select string_agg(x::text, ' ') from auth.sessions x))`).Scan(&stored))
	for _, s := range secrets {
		if strings.Contains(a.log.String(), s) || strings.Contains(stored, s) {
			a.t.Errorf("%.6s… is in the log or the database", s)
		}
	}
}

// Of two parallel answers with one code one signs in.
func TestOneCodeSignsInOnce(t *testing.T) { // R12
	a := newAuth(t)
	a.signUp()
	secret, recovery := a.enrol(a.signIn().GetAccessToken())
	tokens := []string{a.signIn().GetChallenge().GetToken(), a.signIn().GetChallenge().GetToken()}
	code := a.code(secret)
	for what, answer := range map[string]func(token string) error{
		"authenticator": func(token string) error { _, err := a.answer(token, code, ""); return err },
		"recovery":      func(token string) error { _, err := a.answer(token, "", recovery[4]); return err },
	} {
		succeeded := make([]bool, 8)
		var all sync.WaitGroup
		for i := range succeeded {
			all.Go(func() { succeeded[i] = answer(tokens[i%2]) == nil })
		}
		all.Wait()
		if n := len(slices.DeleteFunc(succeeded, func(ok bool) bool { return !ok })); n != 1 {
			t.Errorf("%s: %d of 8 signed in with one code", what, n)
		}
	}
}

// No way to a session leads past the second factor: what was signed in before it is ended, and what
// begins without it is refused by the store, whoever asks.
func TestNoRoutePastTheSecondFactor(t *testing.T) { // R13
	a := newAuth(t)
	user := a.signUp()
	old := a.signIn()
	kept := a.signIn()
	organization := a.claimsOf(kept.GetAccessToken()).OrganizationID
	browser, _, _ := a.atClient(user, organization)
	secret, _ := a.enrol(kept.GetAccessToken())
	a.read()
	_, err := a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: old.GetRefreshToken()})
	refused(t, err, codes.Unauthenticated, "INVALID_REFRESH_TOKEN")
	_, err = a.factorsOf(old.GetAccessToken()).GetMyFactors(t.Context(), &authv1.GetMyFactorsRequest{})
	refused(t, err, codes.Unauthenticated, "TOKEN_REVOKED")
	var left int
	check.NoError(t, a.Pool.QueryRow(t.Context(), `select count(*) from auth.browser_sessions where id = $1`, browser.ID).Scan(&left))
	if left != 0 {
		t.Error("a browser that was signed in by the password alone still is: it could go on at clients")
	}
	_, err = a.people.Refresh(t.Context(), &authv1.RefreshRequest{RefreshToken: kept.GetRefreshToken()})
	check.NoError(t, err) // who has enrolled was just proven twice
	if in := a.signIn(); in.GetAccessToken() != "" {
		t.Error("a password alone signs in")
	}
	if _, err := a.sessionsOf(kept.GetAccessToken()).ChangePassword(t.Context(), &authv1.ChangePasswordRequest{OldPassword: pass, NewPassword: newPass}); err != nil {
		t.Fatal(err)
	}
	in, err := a.people.SignIn(t.Context(), &authv1.SignInRequest{Email: email, Password: newPass})
	check.NoError(t, err)
	if in.GetAccessToken() != "" {
		t.Error("a changed password alone signs in")
	}
	_, err = a.answer(in.GetChallenge().GetToken(), a.code(secret), "")
	check.NoError(t, err)
}

// R17: who signed in long ago changes no factor, and a stranger's policy is none of one's business.
func TestOldSignInsChangeNoFactor(t *testing.T) {
	a := newAuth(t)
	a.signUp()
	in := a.signIn()
	a.enrol(in.GetAccessToken())
	old := a.factorsOf(a.aged(in.GetAccessToken(), token.FreshFor+time.Minute))
	a.Unchanged(t, "an old sign-in", func() {
		_, err := old.OfferTotp(t.Context(), &authv1.OfferTotpRequest{})
		refused(t, err, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED")
		_, err = old.ConfirmTotp(t.Context(), &authv1.ConfirmTotpRequest{Token: "x", Code: "1"})
		refused(t, err, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED")
		_, err = old.RemoveTotp(t.Context(), &authv1.RemoveTotpRequest{})
		refused(t, err, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED")
		_, err = old.ReplaceRecoveryCodes(t.Context(), &authv1.ReplaceRecoveryCodesRequest{})
		refused(t, err, codes.Unauthenticated, "FRESH_SIGN_IN_REQUIRED")
	})
	fresh := a.factorsOf(in.GetAccessToken())
	_, err := fresh.ReplaceRecoveryCodes(t.Context(), &authv1.ReplaceRecoveryCodesRequest{})
	check.NoError(t, err)
	_, err = fresh.RemoveTotp(t.Context(), &authv1.RemoveTotpRequest{})
	check.NoError(t, err)
	if in := a.signIn(); in.GetAccessToken() == "" {
		t.Error("a challenge without a factor")
	}
}

func TestOrganizationsRequireASecondFactor(t *testing.T) { // R13
	a := newAuth(t)
	user := a.signUp()
	in := a.signIn()
	organization := a.claimsOf(in.GetAccessToken()).OrganizationID
	policy := func(ctx context.Context, required bool) error {
		_, err := a.factorsOf(in.GetAccessToken()).SetSignInPolicy(ctx, &authv1.SetSignInPolicyRequest{Policy: &authv1.SignInPolicy{
			OrganizationId: organization, SecondFactorRequired: required,
		}})
		return err
	}
	refused(t, policy(t.Context(), true), codes.NotFound, "ORGANIZATION_NOT_FOUND")
	a.grants.Allow(user, "can_update", "organization:"+organization)
	check.NoError(t, policy(t.Context(), true))
	got, err := a.factorsOf(in.GetAccessToken()).GetSignInPolicy(t.Context(), &authv1.GetSignInPolicyRequest{OrganizationId: organization})
	if check.NoError(t, err); !got.GetPolicy().GetSecondFactorRequired() || got.GetPolicy().GetUpdateTime() == nil {
		t.Errorf("%v", got)
	}
	asked := a.signIn()
	c := asked.GetChallenge()
	if asked.GetAccessToken() != "" || c.GetEnrolment().GetSecret() == "" || !strings.HasPrefix(c.GetEnrolment().GetUri(), "otpauth://totp/") {
		t.Fatalf("%v", asked)
	}
	answered, err := a.answer(c.GetToken(), a.code(c.GetEnrolment().GetSecret()), "")
	if check.NoError(t, err); len(answered.GetRecoveryCodes()) != 10 || answered.GetAccessToken() == "" {
		t.Fatalf("%d codes", len(answered.GetRecoveryCodes()))
	}
	a.ahead += time.Minute
	_, err = a.factorsOf(answered.GetAccessToken()).RemoveTotp(t.Context(), &authv1.RemoveTotpRequest{})
	refused(t, err, codes.FailedPrecondition, "SECOND_FACTOR_REQUIRED")
	again := a.signIn().GetChallenge()
	if again.GetEnrolment() != nil {
		t.Error("it is to be enrolled once more")
	}
	_, err = a.answer(again.GetToken(), a.code(c.GetEnrolment().GetSecret()), "")
	check.NoError(t, err)
	a.isNowhere(append(answered.GetRecoveryCodes(), c.GetEnrolment().GetSecret(), c.GetToken()))
}
