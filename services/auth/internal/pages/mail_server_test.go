package pages_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
)

// mailServer makes a mail server that is up, refuses connections or takes them and says nothing,
// and returns its address and how it gets up at that.
func mailServer(t *testing.T, state string) (address string, up func() *mailtest.Server) {
	t.Helper()
	if state == "up" {
		s := (&mailtest.Server{}).Start(t, "", smtp.Clear)
		return s.Address, func() *mailtest.Server { return s }
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	address = listener.Addr().String()
	var mu sync.Mutex
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			held = append(held, c)
			mu.Unlock()
		}
	}()
	end := sync.OnceFunc(func() {
		_ = listener.Close()
		<-done
		for _, c := range held {
			_ = c.Close()
		}
	})
	t.Cleanup(end)
	if state == "refuses" {
		end()
	}
	return address, func() *mailtest.Server {
		end()
		return (&mailtest.Server{}).Start(t, address, smtp.Clear)
	}
}

// Whether the mail server is up, refuses or hangs shows in no answer to whoever asks for a mail: a
// request queues it, and nothing else. It arrives when the server is back.
func TestNoAnswerShowsHowTheMailServerIs(t *testing.T) { // R10, R15
	var want []string
	for _, state := range []string{"up", "refuses", "hangs"} {
		t.Run(state, func(t *testing.T) {
			w := newWorld(t, 100)
			w.signedUp(t, email)
			w.mailing(t)
			b := w.browser()
			b.signIn(t, email)
			address, up := mailServer(t, state)
			var now atomic.Int64
			now.Store(w.now.UnixNano())
			courier := w.office.Courier(w.Mails, smtp.New(mailtest.ConfigFor(t, address, nil, smtp.Clear)), func() time.Time { return time.Unix(0, now.Load()).UTC() })
			stop := runs(t, courier)
			defer stop()
			ask := func(b *browser, path string, form ...string) string {
				a := b.post(t, path, form...)
				courier.Wake()
				return fmt.Sprintf("%s: %d %v %s", path, a.Code, a.Header(), a.page)
			}
			got := []string{ask(w.browser(), "/sign-up", "email", "new@example.com", "password", pass, "repeat", pass)}
			check.Eventually(t, "the server was tried", func() (tried bool) {
				err := w.Pool.QueryRow(t.Context(), `select not exists (select from auth.mails where attempts = 0)`).Scan(&tried)
				return err == nil && tried
			})
			got = append(got, ask(w.browser(), "/sign-up", "email", email, "password", pass, "repeat", pass),
				ask(w.browser(), "/recover", "email", email), ask(w.browser(), "/recover", "email", "nobody@example.com"),
				ask(b, "/account/email/verify"), ask(w.browser(), "/verify-email", "code", "guessed", "password", pass))
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("answers\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			server := up()
			check.Eventually(t, "nobody tries at the moment", func() (over bool) {
				err := w.Pool.QueryRow(t.Context(), `select not exists (select from auth.mails where attempt_time >= $1)`, w.now.Add(time.Minute)).Scan(&over)
				return err == nil && over
			})
			now.Add(int64(time.Minute))
			courier.Wake()
			check.Eventually(t, "nothing waits", func() bool {
				s, err := w.Mails.Standing(t.Context())
				return err == nil && s.Waiting == 0
			})
			if n := len(server.Taken()); n != 4 { // none of them to nobody
				t.Errorf("%d mails arrived, want 4", n)
			}
		})
	}
}

// runs runs a courier until stop.
func runs(t *testing.T, c *mail.Courier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
