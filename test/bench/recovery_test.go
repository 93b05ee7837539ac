package bench_test

import (
	"crypto/rand"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/internal/testkit/platform"
)

// BenchmarkEnumerationOfRecoveries is BenchmarkEnumeration of who asks for a mail to get another
// password: most samples are beyond the mails that an address may have, as those of whoever asks
// again and again are. Bound: 0.45 to 0.55 (R11, R15).
func BenchmarkEnumerationOfRecoveries(b *testing.B) {
	first := stopped(b)
	p := first.Copy(filepath.Join(first.Dir, "recoveries"), portOffset+1000)
	check.NoError(b, p.Up())
	people, strangers := make([]string, 40), make([]string, 40)
	for i := range people {
		people[i], strangers[i] = "forgetful-"+strings.ToLower(rand.Text())+"@example.com", nobody()
		_, err := post(p, "/api/v1/auth/sign-up", map[string]string{"email": people[i], "password": password}, http.StatusCreated)
		check.NoError(b, err)
	}
	check.NoError(b, p.Down()) // people sign up without mail, and recover with it
	p = p.Copy(p.State, portOffset+1000, "GATEHOUSE_MAIL_MAILBOX=true")
	check.NoError(b, p.Up())
	defer func() { check.NoError(b, p.Down()) }()
	ask := func(p *platform.Platform, email string) (time.Duration, error) {
		return timedPost(p, "/api/v1/auth/recover", map[string]string{"email": email}, http.StatusAccepted)
	}
	compare(b, p, []cell{
		{"recovery", ask, func(i int) string { return people[i%len(people)] }, func(i int) string { return strangers[i%len(strangers)] }},
	})
}
