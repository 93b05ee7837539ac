package mail_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/smtp"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
)

// The variables of a process that is killed: when, its database and its server.
const whenVariable, databaseVariable, serverVariable = "MAIL_TEST_KILLED", "MAIL_TEST_DATABASE", "MAIL_TEST_SERVER"

// The moments at which a process is killed.
const afterCommit, afterAnswer, afterRecord = "after the commit", "after the 250", "after the record"

// A process that is killed with SIGKILL loses no mail whose transaction has committed, repeats none
// of which the 250 was recorded, and one in between with the same Message-ID.
func TestKilledInstancesLoseAndRepeatNothing(t *testing.T) {
	for when, want := range map[string]int{afterCommit: 1, afterAnswer: 2, afterRecord: 1} {
		t.Run(when, func(t *testing.T) {
			w := newWorld(t, &mailtest.Server{})
			w.server = (&mailtest.Server{}).Start(t, "", smtp.Clear)
			if when != afterCommit {
				w.notice(t)
			}
			w.killed(t, when)
			w.pass(mail.Lease)
			courier := w.courierOver(w.Mails, smtp.New(w.server.Config(t, smtp.Clear)), w.sealer).Patient()
			turn(t, courier)
			w.pass(mail.Lease)
			turn(t, courier)
			w.want(t, 0, 0, want)
			for _, raw := range w.server.Taken()[1:] {
				if raw != w.server.Taken()[0] {
					t.Errorf("repeated as another mail:\n%s\n%s", w.server.Taken()[0], raw)
				}
			}
		})
	}
}

// killed runs TestProcessThatIsKilled until that moment.
func (w *world) killed(t *testing.T, when string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProcessThatIsKilled$")
	cmd.Env = append(os.Environ(), whenVariable+"="+when, databaseVariable+"="+w.Pool.Config().ConnString(), serverVariable+"="+w.server.Address)
	out, err := cmd.StdoutPipe()
	check.NoError(t, err)
	cmd.Stderr = os.Stderr
	check.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	reached := false
	for !reached && lines.Scan() {
		reached = strings.Contains(lines.Text(), when)
	}
	check.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it says that it was killed
	if !reached {
		t.Fatalf("the process did not get to %s", when)
	}
}

// dying says when it gets to the moment, and goes no further.
type dying struct {
	mail.Store

	when string
}

func (d dying) Sent(ctx context.Context, id string) error {
	if d.when == afterRecord {
		if err := d.Store.Sent(ctx, id); err != nil {
			return err
		}
	}
	die(d.when)
	return nil
}

func die(when string) {
	fmt.Println(when)
	select {}
}

// It is the other process of the test above, and otherwise nothing.
func TestProcessThatIsKilled(t *testing.T) {
	when := os.Getenv(whenVariable)
	if when == "" {
		return
	}
	pool, err := pgxpool.New(t.Context(), os.Getenv(databaseVariable))
	check.NoError(t, err)
	w := &world{counts: counts{outcomes: map[mail.Outcome]int{}}, sealer: sealer(t, 1)}
	w.now = begun
	mails := postgres.NewMails(pool, func(context.Context, mail.Kind) {})
	if when == afterCommit {
		check.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			return mails.Queue(t.Context(), tx, w.deskWith(t, w.sealer).PasswordChanged(t.Context(), to, ""))
		}))
		die(when)
	}
	sender := smtp.New(mailtest.ConfigFor(t, os.Getenv(serverVariable), nil, smtp.Clear))
	turn(t, w.courierOver(dying{mails, when}, sender, w.sealer).Patient())
}
