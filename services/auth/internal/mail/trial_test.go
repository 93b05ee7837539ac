package mail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
)

func (w *world) trials(desk *mail.Desk) *mail.Trials {
	return mail.NewTrials(mail.TrialParams{Store: postgres.NewMailTrials(w.Pool, w.Outbox, w.Mails), Desk: desk, NewID: uuid.NewString, Wake: func() {}})
}

// send queues a test mail and fails unless its refusal is the one that is wanted.
func send(t *testing.T, trials *mail.Trials, want string) mail.Status {
	t.Helper()
	s, err := trials.Send(t.Context(), to, "de", postgrestest.Event("mail.test_queued"))
	got := ""
	if err != nil {
		got = apierr.From(err).Reason
	}
	if got != want {
		t.Fatalf("Send = %v, want %q", err, want)
	}
	return s
}

// fares wants the attempts, the reason and whether a mail is parked.
func fares(t *testing.T, trials *mail.Trials, id string, attempts int, says string, parked bool) {
	t.Helper()
	s, err := trials.Status(t.Context(), id)
	if err != nil || s.ID != id || s.Kind != mail.Test || s.Attempts != attempts || !strings.Contains(s.Reason, says) || (s.Reason == "") != (says == "") || s.Parked != parked {
		t.Fatalf("%+v, %v; want %d attempts, %q, parked %t", s, err, attempts, says, parked)
	}
}

// An administrator learns why a mail is not sent yet, that it is parked, and by its being gone that
// it was accepted; what was queued is in the trail.
func TestWhatBecomesOfATestMail(t *testing.T) {
	answers := map[int]error{1: mailtest.Refusal(451, "later, "+to), 3: mailtest.Refusal(550, "never, "+to)}
	w := newWorld(t, &mailtest.Server{Answer: func(n int) error { return answers[n] }})
	trials, courier := w.trials(w.desk), w.courier(t)
	first := send(t, trials, "")
	if e := w.Recorded(t); len(e) != 1 || e[0].Action != "mail.test_queued" || e[0].ObjectID != first.ID {
		t.Fatalf("recorded %+v", e)
	}
	fares(t, trials, first.ID, 0, "", false)
	turn(t, courier)
	fares(t, trials, first.ID, 1, "451", false)
	w.pass(time.Minute)
	turn(t, courier)
	if _, err := trials.Status(t.Context(), first.ID); apierr.From(err).Reason != "MAIL_NOT_FOUND" {
		t.Fatalf("after its 250: %v", err)
	}
	if taken := w.server.Taken(); len(taken) != 1 || !strings.Contains(taken[0], "Content-Language: de") && !strings.Contains(taken[0], "kommen") {
		t.Errorf("arrived %v", taken)
	}
	second := send(t, trials, "")
	turn(t, courier)
	fares(t, trials, second.ID, 1, "550", true)
	if s, _ := trials.Status(t.Context(), second.ID); strings.Contains(s.Reason, to) {
		t.Errorf("the reason names the address: %s", s.Reason)
	}
}

// What is over the limit of an address, and where no mail is configured, is refused and not
// recorded.
func TestTestMailsThatAreRefused(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	send(t, w.trials(nil), "MAIL_NOT_CONFIGURED")
	trials := w.trials(w.desk)
	for range mail.MostAsked {
		send(t, trials, "")
	}
	send(t, trials, "MAIL_LIMIT_REACHED")
	if e := w.Recorded(t); len(e) != mail.MostAsked {
		t.Errorf("%d are recorded, want %d", len(e), mail.MostAsked)
	}
	w.want(t, mail.MostAsked, 0, 0)
}
