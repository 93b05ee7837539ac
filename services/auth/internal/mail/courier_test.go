package mail_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
)

func TestAMailIsSentOnce(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	q := w.notice(t)
	courier := w.courier(t)
	turn(t, courier)
	w.want(t, 0, 0, 1)
	w.pass(time.Hour)
	turn(t, courier)
	w.want(t, 0, 0, 1)
	if id := mailtest.Parse(t, w.server.Taken()[0]).Header.Get("Message-Id"); id != "<"+q.ID+"@gate.example>" {
		t.Errorf("Message-ID: %s", id)
	}
	if w.outcomes[mail.Sent] != 1 || strings.Contains(w.log.String(), to) {
		t.Errorf("counted %v, logged %s", w.outcomes, w.log.String())
	}
}

// What a transaction adds is sent only when that commits.
func TestAChangeThatDoesNotHappenIsNotTold(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	undone := errors.New("undone")
	err := pgx.BeginFunc(t.Context(), w.Pool, func(tx pgx.Tx) error {
		return errors.Join(w.Mails.Queue(t.Context(), tx, w.desk.PasswordChanged(t.Context(), to, "")), undone)
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	turn(t, w.courier(t))
	w.want(t, 0, 0, 0)
}

func TestABusyServerIsTriedAgain(t *testing.T) {
	w := newWorld(t, &mailtest.Server{Answer: func(n int) error {
		if n <= 2 {
			return mailtest.Refusal(451, "try again, "+to)
		}
		return nil
	}})
	w.notice(t)
	courier := w.courier(t)
	turn(t, courier)
	turn(t, courier) // its pause is not over
	w.want(t, 1, 0, 0)
	for range 2 {
		w.pass(5 * time.Minute)
		turn(t, courier)
	}
	w.want(t, 0, 0, 1)
	if w.outcomes[mail.Retried] != 2 || w.outcomes[mail.Sent] != 1 || w.standing.Waiting != 1 {
		t.Errorf("counted %v, measured %+v", w.outcomes, w.standing)
	}
	if strings.Contains(w.log.String(), to) {
		t.Errorf("the log names the address: %s", w.log.String())
	}
}

func TestWhatIsRefusedForGoodIsParked(t *testing.T) {
	w := newWorld(t, &mailtest.Server{Accept: func(to string) error { return mailtest.Refusal(550, to+" is unknown") }})
	w.notice(t)
	courier := w.courier(t)
	turn(t, courier)
	w.pass(time.Hour)
	turn(t, courier)
	w.want(t, 0, 1, 0)
	var reason string
	var sealed []byte
	if err := w.Pool.QueryRow(t.Context(), `select reason, sealed from auth.mails`).Scan(&reason, &sealed); err != nil {
		t.Fatal(err)
	}
	if reason != "the mail server answers 550 5.1.1 to RCPT TO" || sealed != nil || w.outcomes[mail.Parked] != 1 {
		t.Errorf("parked for %q with %d bytes, counted %v", reason, len(sealed), w.outcomes)
	}
	w.pass(8 * 24 * time.Hour)
	check.NoError(t, courier.Clean(t.Context()))
	w.want(t, 0, 0, 0)
}

// A server that is away holds mails up until it is there again.
func TestAServerComesBack(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	courier := w.courier(t)
	w.server.Stop()
	w.notice(t)
	turn(t, courier)
	w.want(t, 1, 0, 0)
	again := &mailtest.Server{}
	again.Start(t, w.server.Address, smtp.StartTLS)
	w.pass(time.Minute)
	turn(t, w.courierOver(w.Mails, smtp.New(again.Config(t, smtp.StartTLS)), w.sealer))
	w.server = again
	w.want(t, 0, 0, 1)
}

func TestAMailExpires(t *testing.T) {
	w := newWorld(t, &mailtest.Server{Answer: func(int) error { return mailtest.Refusal(451, "never") }})
	w.notice(t)
	courier := w.courier(t)
	turn(t, courier)
	w.pass(72*time.Hour - time.Second)
	check.NoError(t, courier.Clean(t.Context()))
	w.want(t, 1, 0, 0)
	w.pass(time.Second)
	turn(t, courier)
	check.NoError(t, courier.Clean(t.Context()))
	w.want(t, 0, 0, 0)
	if w.outcomes[mail.Expired] != 1 {
		t.Errorf("counted %v", w.outcomes)
	}
}

// Several instances share a queue, and each mail arrives once.
func TestInstancesShareTheQueue(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	const mails = 30
	for i := range mails {
		w.Queue(t, w.desk.PasswordChanged(t.Context(), fmt.Sprintf("ada%d@example.com", i), ""))
	}
	var wg sync.WaitGroup
	for range 2 {
		courier := w.courier(t)
		wg.Go(func() {
			for range mails {
				if err := courier.Turn(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	w.want(t, 0, 0, mails)
	ids := map[string]bool{}
	for _, raw := range w.server.Taken() {
		ids[mailtest.Parse(t, raw).Header.Get("Message-Id")] = true
	}
	if len(ids) != mails {
		t.Errorf("%d different mails", len(ids))
	}
}

// A server that takes connections and says nothing delays no change, and no stop for long.
func TestASilentServerDelaysNobody(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check.NoError(t, err)
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	t.Cleanup(func() { _ = listener.Close() })
	courier := w.courierOver(w.Mails, smtp.New(mailtest.ConfigFor(t, listener.Addr().String(), nil, smtp.StartTLS)), w.sealer)
	courier.Hurry(time.Hour, time.Millisecond)
	w.notice(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		courier.Run(ctx)
	}()
	conn := <-accepted // the attempt hangs from here on
	w.notice(t)        // and the next change commits
	stop()
	<-done
	_ = conn.Close()
	w.want(t, 2, 0, 0)
	var reason string
	check.NoError(t, w.Pool.QueryRow(t.Context(), `select reason from auth.mails where attempts > 0`).Scan(&reason))
	if reason != "the mail server did not answer in time" { // and not that the library gave up after its own time
		t.Errorf("the stop waited until: %s", reason)
	}
	w.pass(mail.Lease)
	turn(t, w.courier(t)) // nothing is lost
	w.want(t, 0, 0, 2)
}

// A mail to an address that nobody has is counted and queued like any other, and never leaves.
func TestAMailToNobodyIsDropped(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	for range 2 * mail.MostAsked {
		w.Queue(t, w.desk.Nobody(t.Context(), to))
	}
	w.want(t, mail.MostAsked, 0, 0)
	c := w.courier(t)
	turn(t, c)
	turn(t, c)
	w.want(t, 0, 0, 0)
	if len(w.outcomes) != 0 {
		t.Errorf("counted %v", w.outcomes)
	}
}
