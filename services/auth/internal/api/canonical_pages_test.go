package api_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/pquerna/otp/totp"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	authv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/auth/v1"
	webv1 "github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/web/v1"
)

// form is a web exchange that carries a form of our own page.
func form(cookie string, fields ...string) *webv1.Request {
	values := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	headers := []*webv1.Header{
		{Name: "Content-Type", Value: []byte("application/x-www-form-urlencoded")}, {Name: "Sec-Fetch-Site", Value: []byte("same-origin")},
	}
	if cookie != "" {
		headers = append(headers, &webv1.Header{Name: "Cookie", Value: []byte(cookie)})
	}
	return &webv1.Request{Headers: headers, Body: []byte(values.Encode())}
}

// usePages lets a person sign up, in and out on the pages, end sessions and change the password,
// and in again: the cookie of that is returned.
func (f *fixed) usePages(t *testing.T) (cookie string) {
	t.Helper()
	ctx := t.Context()
	pages := func(requestID string) authv1.PageServiceClient {
		return authv1.NewPageServiceClient(f.Through("gateway", requestID))
	}
	fields := []string{"email", "carol@example.com", "password", pass, "repeat", pass, "display_name", "Carol"}
	_, err := pages("page-sign-up").SubmitSignUp(ctx, &authv1.SubmitSignUpRequest{Http: form("", fields...)})
	check.NoError(t, err)
	cookieOf := func(r *webv1.Response) string {
		t.Helper()
		cookie, _, _ := strings.Cut(header(r, "Set-Cookie"), ";")
		if cookie == "" {
			t.Fatalf("no cookie: %v", r.GetStatus())
		}
		return cookie
	}
	signIn := func(requestID string) (cookie string) {
		t.Helper()
		in, err := pages(requestID).SubmitSignIn(ctx, &authv1.SubmitSignInRequest{Http: form("", fields[:4]...)})
		check.NoError(t, err)
		return cookieOf(in.GetHttp())
	}
	here := signIn("page-sign-in")
	signIn("page-sign-in-elsewhere")
	account, err := pages("page-account").ShowAccount(ctx, &authv1.ShowAccountRequest{Http: form(here)})
	check.NoError(t, err)
	other := otherSession.FindSubmatch(account.GetHttp().GetBody())
	if other == nil {
		t.Fatalf("no other session:\n%s", account.GetHttp().GetBody())
	}
	_, err = pages("page-end-one").SubmitSessionEnd(ctx, &authv1.SubmitSessionEndRequest{Http: form(here, "session", string(other[1]))})
	check.NoError(t, err)
	signIn("page-sign-in-elsewhere-again")
	_, err = pages("page-end-others").SubmitOtherSessionsEnd(ctx, &authv1.SubmitOtherSessionsEndRequest{Http: form(here)})
	check.NoError(t, err)
	changed, err := pages("page-password").SubmitPassword(ctx, &authv1.SubmitPasswordRequest{
		Http: form(here, "old_password", pass, "new_password", newPass, "repeat", newPass),
	})
	check.NoError(t, err)
	here = cookieOf(changed.GetHttp())
	f.useFactor(t, pages, here)
	fields[3] = newPass
	_, err = pages("page-sign-out").SubmitSignOut(ctx, &authv1.SubmitSignOutRequest{Http: form(here)})
	check.NoError(t, err)
	return signIn("page-sign-in-again")
}

// useFactor enrols an authenticator, makes new recovery codes and removes all of it.
func (f *fixed) useFactor(t *testing.T, pages func(requestID string) authv1.PageServiceClient, cookie string) {
	t.Helper()
	ctx := t.Context()
	shown, err := pages("page-authenticator").ShowAuthenticator(ctx, &authv1.ShowAuthenticatorRequest{Http: form(cookie)})
	check.NoError(t, err)
	body := shown.GetHttp().GetBody()
	key, enrolment := shownKey.FindSubmatch(body), shownEnrolment.FindSubmatch(body)
	if key == nil || enrolment == nil {
		t.Fatalf("no key:\n%s", body)
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(string(key[1]), " ", ""), f.now)
	check.NoError(t, err)
	enrolled, err := pages("page-enrol").SubmitAuthenticator(ctx, &authv1.SubmitAuthenticatorRequest{Http: form(cookie, "enrolment", string(enrolment[1]), "code", code)})
	check.NoError(t, err)
	replaced, err := pages("page-recovery-codes").SubmitRecoveryCodes(ctx, &authv1.SubmitRecoveryCodesRequest{Http: form(cookie)})
	check.NoError(t, err)
	removed, err := pages("page-remove").SubmitFactorRemoval(ctx, &authv1.SubmitFactorRemovalRequest{Http: form(cookie)})
	check.NoError(t, err)
	if e, r, gone := enrolled.GetHttp().GetStatus(), replaced.GetHttp().GetStatus(), removed.GetHttp().GetStatus(); e != 200 || r != 200 || gone != 303 {
		t.Fatalf("enrolled %d, new codes %d, removed %d", e, r, gone)
	}
}

// Where the page that enrols has the key and the token of its form.
var (
	shownKey       = regexp.MustCompile(`translate="no">([A-Z2-7 ]+)<`)
	shownEnrolment = regexp.MustCompile(`name="enrolment" value="([^"]+)"`)
)

// otherSession is where the page for the account can end a session that is not the browser's own.
var otherSession = regexp.MustCompile(`name="session" value="([^"]+)"`)
