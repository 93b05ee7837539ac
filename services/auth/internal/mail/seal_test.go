package mail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
)

// dump is all that the database keeps of mails, as text and as bytes.
func (w *world) dump(t *testing.T) string {
	t.Helper()
	var all string
	err := w.Pool.QueryRow(t.Context(), `
		select coalesce((select string_agg(m::text || encode(sealed, 'escape'), ' ') from auth.mails m), '') ||
		       coalesce((select string_agg(a::text || encode(hash, 'escape'), ' ') from auth.mail_addresses a), '')`).Scan(&all)
	check.NoError(t, err)
	return all
}

// Neither what a mail says nor whom it is for is in the database in clear.
func TestMailsAreSealedAtRest(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	q := w.notice(t)
	dump := w.dump(t)
	if !strings.Contains(dump, q.ID) {
		t.Fatal("the dump has no mail")
	}
	for _, clear := range []string{to, "@example.com", "Your password", "gate.example", "subject"} {
		if strings.Contains(dump, clear) {
			t.Errorf("the dump has %q", clear)
		}
	}
}

// A sealed mail opens in its own row alone, and nobody else's key hashes an address like ours.
func TestASealIsOfItsRow(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	w.notice(t)
	w.Queue(t, w.desk.PasswordChanged(t.Context(), "eve@example.com", ""))
	_, err := w.Pool.Exec(t.Context(), `update auth.mails m set sealed = (select sealed from auth.mails o where o.id <> m.id)`)
	check.NoError(t, err)
	turn(t, w.courier(t))
	w.want(t, 2, 0, 0)
	other := w.deskWith(t, sealer(t, 7)).PasswordChanged(t.Context(), to, "")
	if string(other.Address) == string(w.desk.PasswordChanged(t.Context(), to, "").Address) {
		t.Error("the hash of an address has no key")
	}
}

// While the sealing key is replaced every instance can send what any other has queued, and
// resealing covers what waits.
func TestTheSealingKeyIsReplaced(t *testing.T) {
	w := newWorld(t, &mailtest.Server{})
	before := true
	both, err := mail.NewSealer(
		mail.Secrets{Current: secrets(2).Current, Previous: secrets(1).Current},
		mail.Secrets{Current: secrets(102).Current, Previous: secrets(101).Current}, func() bool { return before })
	check.NoError(t, err)
	sender := smtp.New(w.server.Config(t, smtp.StartTLS))
	courier := func(s *mail.Sealer) *mail.Courier { return w.courierOver(w.Mails, sender, s) }

	w.notice(t) // by an instance with the old key alone
	turn(t, courier(both))
	w.want(t, 0, 0, 1)
	w.Queue(t, w.deskWith(t, both).PasswordChanged(t.Context(), to, ""))
	turn(t, courier(w.sealer)) // which opens what the others seal meanwhile
	w.want(t, 0, 0, 2)

	w.notice(t)
	before = false // the signing keys were resealed
	changed, err := both.Reseal(t.Context(), w.Mails)
	again, err2 := both.Reseal(t.Context(), w.Mails)
	if err != nil || err2 != nil || changed != 1 || again != 0 {
		t.Errorf("resealed %d, then %d: %v, %v", changed, again, err, err2)
	}
	fresh := sealer(t, 2)
	turn(t, courier(fresh))
	w.want(t, 0, 0, 3)

	// One that an instance sealed with the old key a moment later is sealed anew when it fails.
	w.notice(t)
	w.server.Answer = func(n int) error {
		if n == 4 {
			return mailtest.Refusal(451, "busy")
		}
		return nil
	}
	turn(t, courier(both))
	w.pass(time.Minute)
	turn(t, courier(fresh))
	w.want(t, 0, 0, 4)
}
