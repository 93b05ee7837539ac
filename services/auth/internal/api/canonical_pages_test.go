package api_test

import (
	"net/url"
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

// usePages lets a person sign up, in and out on the pages.
func (f *fixed) usePages(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	pages := func(requestID string) authv1.PageServiceClient {
		return authv1.NewPageServiceClient(f.Through("gateway", requestID))
	}
	fields := []string{"email", "carol@example.com", "password", pass, "repeat", pass, "display_name", "Carol"}
	_, err := pages("page-sign-up").SubmitSignUp(ctx, &authv1.SubmitSignUpRequest{Http: form("", fields...)})
	check.NoError(t, err)
	in, err := pages("page-sign-in").SubmitSignIn(ctx, &authv1.SubmitSignInRequest{Http: form("", fields[:4]...)})
	check.NoError(t, err)
	cookie := ""
	for _, h := range in.GetHttp().GetHeaders() {
		if h.GetName() == "Set-Cookie" {
			cookie, _, _ = strings.Cut(string(h.GetValue()), ";")
		}
	}
	if cookie == "" {
		t.Fatalf("no cookie: %v", in.GetHttp().GetStatus())
	}
	_, err = pages("page-sign-out").SubmitSignOut(ctx, &authv1.SubmitSignOutRequest{Http: form(cookie)})
	check.NoError(t, err)
}
