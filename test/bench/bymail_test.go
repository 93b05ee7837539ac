package bench_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkEnumerationByMail is BenchmarkEnumeration of who signs up and of who asks for a mail to
// get another password, where mail is sent: each address is asked about until it has had as many
// mails as it may have, and then on. Bound: 0.45 to 0.55 (R11, R15).
func BenchmarkEnumerationByMail(b *testing.B) {
	first := stopped(b)
	p := first.Copy(filepath.Join(first.Dir, "by-mail"), portOffset+1000)
	check.NoError(b, p.Up())
	taken := accounts(b, p, "sign-up", "")
	lost := []kind{{"unknown", strangers(each)}}
	for name, change := range map[string]string{"recovery": verified, "recovery-unverified": "", "recovery-pending": pending, "recovery-suspended": suspended} {
		lost = append(lost, accounts(b, p, name, change))
	}
	check.NoError(b, p.Down()) // people sign up without mail, and recover with it
	p = p.Copy(p.State, portOffset+1000, "GATEHOUSE_MAIL_MAILBOX=true")
	check.NoError(b, p.Up())
	defer func() { check.NoError(b, p.Down()) }()
	signUp := func(p *platform.Platform, email string) (time.Duration, error) {
		return timedPost(p, "/api/v1/auth/sign-up", map[string]string{"email": email, "password": password}, http.StatusAccepted)
	}
	compare(b, p, []comparison{{signUp, []kind{{"unknown", strangers(each)}, taken}}, {recoverByREST, lost}})
}
