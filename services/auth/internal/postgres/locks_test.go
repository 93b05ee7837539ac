package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
)

// Whatever changes a login, its mailed codes and the count of its mails at the same moment waits
// for the others, and none of them fails: all lock these in one order.
func TestChangesOfOneLoginWaitForEachOther(t *testing.T) {
	const logins, addresses = `select from auth.logins for update`, `select from auth.mail_addresses for update`
	for name, c := range map[string]struct {
		held string // what all of them find locked
		acts []string
	}{
		"resets are asked for while one is made":          {addresses, []string{"ask reset", "reset", "ask reset"}},
		"a verification is asked for while a reset is":    {addresses, []string{"ask verify", "reset"}},
		"two resets are made":                             {logins, []string{"reset", "reset with another code"}},
		"a password is changed while it is reset":         {addresses, []string{"change", "reset"}},
		"it is reset while it is changed":                 {addresses, []string{"reset", "change"}},
		"a login is suspended while it is verified":       {logins, []string{"suspend", "verify"}},
		"it is verified while it is suspended":            {logins, []string{"verify", "suspend"}},
		"a login is removed while it is verified":         {logins, []string{"remove", "verify"}},
		"a password is reset while its login is verified": {logins, []string{"reset", "verify"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLocked(t)
			release := l.hold(t, c.held)
			ended := make(chan error, len(c.acts))
			for i, act := range c.acts {
				go func() { ended <- l.act(t, act) }()
				waiting(t, l.Pool, i+1)
			}
			release()
			for range c.acts {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// locked is a login with codes.
type locked struct {
	*postgrestest.Database

	userID, email string
	codes         map[string]proof.Code
}

var lockedNow = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func newLocked(t *testing.T) *locked {
	t.Helper()
	l := &locked{Database: postgrestest.Open(t), codes: map[string]proof.Code{}}
	l.userID, _ = activeLogin(t, l.Database)
	check.NoError(t, l.Pool.QueryRow(t.Context(), `select email from auth.logins`).Scan(&l.email))
	for _, c := range []struct {
		act string
		of  proof.Purpose
	}{{"verify", proof.Verify}, {"reset with another code", proof.Reset}, {"reset", proof.Reset}} {
		code, err := l.ask(t, c.of)
		check.NoError(t, err)
		l.codes[c.act] = code
	}
	return l
}

func (l *locked) ask(t *testing.T, p proof.Purpose) (proof.Code, error) {
	waits, code := proof.New(p, l.email, lockedNow)
	waits.UserID = l.userID
	return code, l.MailedCodes.Ask(t.Context(), waits, l.told(), postgrestest.Event("auth.tested"))
}

// told is a mail to the address of the login.
func (l *locked) told() *mail.Queued {
	return &mail.Queued{
		ID: uuid.NewString(), Kind: mail.PasswordReset, Address: []byte(l.email), Sealed: []byte("sealed"), CreateTime: lockedNow, ExpireTime: lockedNow.Add(time.Hour),
	}
}

// hold locks rows until release.
func (l *locked) hold(t *testing.T, sql string) (release func()) {
	t.Helper()
	tx, err := l.Pool.Begin(t.Context())
	check.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // after release it changes nothing
	_, err = tx.Exec(t.Context(), sql)
	check.NoError(t, err)
	return func() { check.NoError(t, tx.Commit(t.Context())) }
}

// act changes something. That another change has overtaken it is no failure.
func (l *locked) act(t *testing.T, what string) (err error) {
	e, until := postgrestest.Event("auth.tested"), lockedNow.Add(time.Hour)
	switch what {
	case "ask reset":
		_, err = l.ask(t, proof.Reset)
	case "ask verify":
		_, err = l.ask(t, proof.Verify)
	case "verify":
		err = l.Logins.VerifyEmail(t.Context(), l.codes[what].Hash(), login.Login{UserID: l.userID, Email: l.email, PasswordHash: "$hash"}, lockedNow, e)
	case "suspend":
		err = l.Logins.SetStanding(t.Context(), login.Standing{UserID: l.userID, Revision: 1, Suspended: true, RevokedUntil: until}, e)
	case "remove":
		err = l.Logins.Remove(t.Context(), l.userID, until, e)
	case "change":
		err = l.Logins.ChangePassword(t.Context(), login.NewHash{
			UserID: l.userID, Old: "$hash", Hash: "$changed", Time: lockedNow, Notice: l.told(), RevokedUntil: until,
		}, e)
	default:
		err = l.Resets.Reset(t.Context(), reset.NewPassword{
			Code: l.codes[what].Hash(), UserID: l.userID, Email: l.email, Hash: "$reset", Time: lockedNow, RevokedUntil: until, Notice: l.told(),
		}, e)
	}
	if errors.Is(err, proof.ErrNotFound) || errors.Is(err, login.ErrNotFound) {
		return nil
	}
	return err
}
