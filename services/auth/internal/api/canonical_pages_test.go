package api_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

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
	fields[3] = newPass
	_, err = pages("page-sign-out").SubmitSignOut(ctx, &authv1.SubmitSignOutRequest{Http: form(cookieOf(changed.GetHttp()))})
	check.NoError(t, err)
	return signIn("page-sign-in-again")
}

// otherSession is where the page for the account can end a session that is not the browser's own.
var otherSession = regexp.MustCompile(`name="session" value="([^"]+)"`)
