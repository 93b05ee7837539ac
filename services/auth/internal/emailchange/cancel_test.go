package emailchange_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// endings are what a change that is reserved does not outlive.
func (w *world) endings() map[string]func(*testing.T, string) {
	return map[string]func(*testing.T, string){
		"the password is reset": func(t *testing.T, userID string) {
			waits, code := proof.New(proof.Reset, former, w.now)
			waits.UserID = userID
			check.NoError(t, w.MailedCodes.Ask(t.Context(), waits, w.office.ChangeEmail(t.Context(), former, "", w.letter()), postgrestest.Event("auth.password_reset_requested")))
			check.NoError(t, w.Resets.Reset(t.Context(), reset.NewPassword{
				Code: code.Hash(), UserID: userID, Email: former, Hash: "$new", Time: w.now, RevokedUntil: w.now.Add(time.Hour),
			}, acting(userID, "auth.password_reset")))
		},
		"the login is suspended": func(t *testing.T, userID string) {
			n := login.Standing{UserID: userID, Revision: 2, Suspended: true, Time: w.now, RevokedUntil: w.now.Add(time.Hour)}
			check.NoError(t, w.Logins.SetStanding(t.Context(), n, acting(userID, "auth.login_suspended")))
		},
	}
}

// Who recovers an account, or suspends it, does not lose it to a change that somebody else in it
// has reserved: neither the reconciler nor the request itself brings that to its end, and Identity
// is told of the address again.
func TestNoChangeOutlivesAResetOrASuspension(t *testing.T) { // R17, R22
	for name := range new(world).endings() {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ada := w.signedUp(t, former)
			code := w.asks(t, ada, fresh)
			w.meanwhile = func() {
				w.meanwhile = nil
				w.endings()[name](t, ada)
			}
			if got := w.confirms(ada, code); got != "INVALID_MAILED_CODE" {
				t.Errorf("the request that is under way: %q", got)
			}
			w.now = w.now.Add(time.Minute)
			check.NoError(t, w.Reconcile(t.Context()))
			if got := w.email(t, ada); got != former {
				t.Errorf("the address is %s", got)
			}
			due, err := w.Logins.ClaimEmails(t.Context(), w.now, w.now.Add(time.Minute), 10)
			if err != nil || len(due) != 1 || due[0].Address != former || len(w.told) != 1 || due[0].Revision <= w.told[0].Revision {
				t.Errorf("Identity was told %+v, and will be told %+v, %v", w.told, due, err)
			}
		})
	}
}

// A change that somebody else drives to its end while the request is under way is done, once.
func TestAChangeIsCommittedOnce(t *testing.T) { // R67
	w := newWorld(t)
	ada := w.signedUp(t, former)
	code := w.asks(t, ada, fresh)
	w.meanwhile = func() {
		w.meanwhile = nil
		w.now = w.now.Add(time.Minute)
		check.NoError(t, w.Reconcile(t.Context()))
	}
	if got := w.confirms(ada, code); got != "" || w.email(t, ada) != fresh {
		t.Errorf("%q, and the address is %s", got, w.email(t, ada))
	}
	if read := w.office.Read(t, w.Mails); len(read) != 2 {
		t.Errorf("told %+v", read)
	}
}

// Identity is not told of the old address under the revision of the new one.
func TestAnAddressThatChangesIsNotTold(t *testing.T) {
	w := newWorld(t)
	ada := w.signedUp(t, former)
	waits, verify := proof.New(proof.Verify, former, w.now)
	waits.UserID = ada
	check.NoError(t, w.MailedCodes.Ask(t.Context(), waits, w.office.VerifyEmail(t.Context(), former, "", w.letter()), acting(ada, "auth.email_verification_requested")))
	check.NoError(t, w.Logins.VerifyEmail(t.Context(), verify.Hash(), login.Login{UserID: ada, PasswordHash: "$hash"}, w.now, acting(ada, "auth.email_verified")))
	code := w.asks(t, ada, fresh)
	w.fail = errors.New("boom")
	if got := w.confirms(ada, code); got != "IDENTITY_UNAVAILABLE" {
		t.Fatal(got)
	}
	w.fail, w.now = nil, w.now.Add(time.Minute)
	if due, err := w.Logins.ClaimEmails(t.Context(), w.now, w.now.Add(time.Minute), 10); err != nil || len(due) != 0 {
		t.Errorf("while it is reserved: %+v, %v", due, err)
	}
	check.NoError(t, w.Reconcile(t.Context()))
	if due, err := w.Logins.ClaimEmails(t.Context(), w.now, w.now.Add(time.Minute), 10); err != nil || len(due) != 1 || due[0].Address != fresh {
		t.Errorf("afterwards: %+v, %v", due, err)
	}
}
