package bench_test

import (
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkEnumerationByPage is BenchmarkEnumeration of the forms that people sign in, sign up and
// recover with, and of a recovery over REST, all where the mail server does not answer. It takes
// about five minutes on two cores, nearly all of them for the hashes of its samples. Bound: 0.45 to
// 0.55 (R10, R11, R15).
func BenchmarkEnumerationByPage(b *testing.B) {
	first := stopped(b)
	p := first.Copy(filepath.Join(first.Dir, "by-page"), portOffset+1000)
	check.NoError(b, p.Up())
	wrong, taken := accounts(b, p, "page-wrong", verified), accounts(b, p, "page-sign-up", verified)
	onPage, overREST := accounts(b, p, "page-recovery", verified), accounts(b, p, "recovery-smtp-down", verified)
	check.NoError(b, p.Down()) // people sign up without mail
	p = p.Copy(p.State, portOffset+1000, "GATEHOUSE_MAIL_SMTP_URL=smtp://"+deaf(b), "GATEHOUSE_MAIL_FROM=no-reply@example.com")
	check.NoError(b, p.Up())
	defer func() { check.NoError(b, p.Down()) }()
	compare(b, p, []comparison{
		{byForm("/sign-in", "wrong horse battery staple", http.StatusUnauthorized), []kind{{"unknown", strangers(each)}, wrong}},
		{byForm("/sign-up", password, http.StatusSeeOther), []kind{{"unknown", strangers(each)}, taken}},
		{byForm("/recover", "", http.StatusSeeOther), []kind{{"unknown", strangers(each)}, onPage}},
		{recoverByREST, []kind{{"unknown", strangers(each)}, overREST}},
	})
}

// deaf is the address of a server that is down: connections to it are refused.
func deaf(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(b, err)
	check.NoError(b, listener.Close())
	return listener.Addr().String()
}

// byForm sends the form of a page, with whatever of these fields that has.
func byForm(path, given string, want int) func(*platform.Platform, string) (time.Duration, error) {
	return func(p *platform.Platform, email string) (time.Duration, error) {
		form := url.Values{"email": {email}, "password": {given}, "repeat": {given}, "return_to": {""}}
		begun := time.Now()
		_, _, err := visit(p, path, form, nil, want)
		return time.Since(begun), err
	}
}

// recoverByREST asks for a mail to get another password.
func recoverByREST(p *platform.Platform, email string) (time.Duration, error) {
	return timedPost(p, "/api/v1/auth/recover", map[string]string{"email": email}, http.StatusAccepted)
}
