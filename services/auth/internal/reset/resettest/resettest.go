// Package resettest is the conformance suite of reset.Store: what its comments promise, checked
// against a real implementation.
package resettest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/login/logintest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/reset"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Database is the stores of one empty database; Store is under test.
type Database struct {
	Store    reset.Store
	Logins   login.Store
	Codes    proof.Store
	Factors  factor.Store
	Sessions session.Store
	// Queued counts the mails that wait.
	Queued func(t *testing.T) int
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
	// Unchanged checks that what is tried changes no row of the database.
	Unchanged func(t *testing.T, name string, try func())
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Run holds a store to the words of reset.Store.
func Run(t *testing.T, open func(t *testing.T) Database) {
	for name, test := range map[string]func(*testing.T, Database){
		"a reset replaces the password and ends everything":   once,
		"out of order nothing changes":                        outOfOrder,
		"of many uses of one code one succeeds":               oneCodeAtOnce,
		"of many codes at once one succeeds":                  codesAtOnce,
		"a factor behind an unproven address goes":            unproven,
		"of resets and verifications at once none is half":    besideVerification,
		"no session outlives a reset beside it":               besideStart,
		"what was looked at before another change is refused": overtaken,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func request(userID string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: "auth.tested", Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous},
		ObjectType: "user", ObjectID: userID, RequestID: "request-1", TraceID: "0123456789abcdef0123456789abcdef",
	}
}

// proven makes an active login whose address was proven.
func proven(t *testing.T, d Database, email string) login.Login {
	t.Helper()
	l := logintest.Active(t, d.Logins, email)
	if err := d.Logins.VerifyEmail(t.Context(), asked(t, d, proof.Verify, l).Hash(), l, epoch, request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	return d.login(t, l.UserID)
}

func (d Database) login(t *testing.T, userID string) login.Login {
	t.Helper()
	l, err := d.Logins.ByUser(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func told(kind mail.Kind, address string) *mail.Queued {
	return &mail.Queued{ID: uuid.NewString(), Kind: kind, Address: []byte(address), Sealed: []byte("sealed"), CreateTime: epoch, ExpireTime: epoch.Add(time.Hour)}
}

// asked stores what waits for a code of a user.
func asked(t *testing.T, d Database, p proof.Purpose, l login.Login) proof.Code {
	t.Helper()
	waits, code := proof.New(p, l.Email, epoch)
	waits.UserID = l.UserID
	if err := d.Codes.Ask(t.Context(), waits, told(mail.ResetPassword, string(code)), request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	return code
}

// to is the reset of a login, as it was looked at, by a code.
func to(l login.Login, code proof.Code) reset.NewPassword {
	return reset.NewPassword{
		Code: code.Hash(), UserID: l.UserID, Email: l.Email, Verified: l.EmailVerified, Factor: l.Factor.Revision, Hash: "$new", Time: epoch,
		RevokedUntil: epoch.Add(time.Hour), Notice: told(mail.PasswordReset, l.UserID),
	}
}

// started starts a session.
func started(t *testing.T, d Database, userID string) session.Session {
	t.Helper()
	n := sessionOf(userID)
	if err := d.Sessions.Start(t.Context(), n, request(userID)); err != nil {
		t.Fatal(err)
	}
	return n
}

func sessionOf(userID string) session.Session {
	n := session.Session{ID: uuid.NewString(), UserID: userID, CreateTime: epoch, RefreshTime: epoch, ExpireTime: epoch.Add(time.Hour)}
	id := uuid.New()
	copy(n.Family[:], id[:])
	return n
}

func (d Database) revoked(t *testing.T) map[string]time.Time {
	t.Helper()
	all, _, err := d.Sessions.Revocations(t.Context(), 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	until := map[string]time.Time{}
	for _, r := range all {
		until[r.SessionID] = r.ExpireTime
	}
	return until
}

// changed checks that exactly one reset has happened since.
func (d Database) changed(t *testing.T, userID string, events, mails int) {
	t.Helper()
	if recorded, queued := len(d.Recorded(t))-events, d.Queued(t)-mails; recorded != 1 || queued != 1 {
		t.Errorf("%d events and %d mails, want one of each (R17, R67)", recorded, queued)
	}
	if l := d.login(t, userID); l.PasswordHash != "$new" || !l.EmailVerified || l.State != login.Active {
		t.Errorf("the login is %+v", l)
	}
}

func once(t *testing.T, d Database) { // R14, R17, R22
	l, other := proven(t, d, "ada@example.com"), proven(t, d, "other@example.com")
	code, second, verify := asked(t, d, proof.Reset, l), asked(t, d, proof.Reset, l), asked(t, d, proof.Verify, l)
	theirs := asked(t, d, proof.Reset, other)
	mine, kept := started(t, d, l.UserID), started(t, d, other.UserID)
	events, mails := len(d.Recorded(t)), d.Queued(t)
	if err := d.Store.Reset(t.Context(), to(l, code), request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	d.changed(t, l.UserID, events, mails)
	if ended := d.revoked(t); len(ended) != 1 || !ended[mine.ID].Equal(epoch.Add(time.Hour)) {
		t.Errorf("revoked = %v, want the user's session alone", ended)
	}
	if err := d.Sessions.Refresh(t.Context(), kept.Family, func(session.Session) session.Decision { return session.Decision{} }); err != nil {
		t.Errorf("somebody else's session: %v", err)
	}
	if got := d.login(t, other.UserID); got != other {
		t.Errorf("somebody else's login is %+v, want %+v", got, other)
	}
	for name, c := range map[string]struct {
		code    proof.Code
		purpose proof.Purpose
		want    error
	}{
		"the code": {code, proof.Reset, proof.ErrNotFound}, "another one of the user": {second, proof.Reset, proof.ErrNotFound},
		"one of another purpose": {verify, proof.Verify, proof.ErrNotFound}, "somebody else's": {theirs, proof.Reset, nil},
	} {
		if _, err := d.Codes.Find(t.Context(), c.code.Hash(), epoch, c.purpose); !errors.Is(err, c.want) {
			t.Errorf("%s afterwards: %v, want %v", name, err, c.want)
		}
	}
	s := d.login(t, l.UserID)
	d.Unchanged(t, "once more", func() {
		if err := d.Store.Reset(t.Context(), to(s, code), request(l.UserID)); !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("once more: %v", err)
		}
	})
}

func outOfOrder(t *testing.T, d Database) {
	l, bob := proven(t, d, "ada@example.com"), proven(t, d, "bob@example.com")
	waiting, gone, suspended := logintest.Reserved(t, d.Logins, "pending@example.com"), logintest.Active(t, d.Logins, "gone@example.com"), logintest.Active(t, d.Logins, "suspended@example.com")
	started(t, d, l.UserID)
	code, verify, bobs := asked(t, d, proof.Reset, l), asked(t, d, proof.Verify, l), asked(t, d, proof.Reset, bob)
	ofPending, ofGone, ofSuspended := asked(t, d, proof.Reset, waiting), asked(t, d, proof.Reset, gone), asked(t, d, proof.Reset, suspended)
	if err := d.Logins.Remove(t.Context(), gone.UserID, epoch, request(gone.UserID)); err != nil {
		t.Fatal(err)
	}
	standing := login.Standing{UserID: suspended.UserID, Revision: 2, Suspended: true, Time: epoch, RevokedUntil: epoch}
	if err := d.Logins.SetStanding(t.Context(), standing, request(suspended.UserID)); err != nil {
		t.Fatal(err)
	}
	late, elsewhere := to(l, code), to(l, code)
	late.Time = epoch.Add(proof.Reset.Lasts())
	elsewhere.Email = "former@example.com"
	for name, c := range map[string]struct {
		n    reset.NewPassword
		want error
	}{
		"a code that nobody was told": {to(l, proof.NewCode()), proof.ErrNotFound},
		"a code of another purpose":   {to(l, verify), proof.ErrNotFound},
		"a code of somebody else":     {to(l, bobs), proof.ErrNotFound},
		"too late":                    {late, proof.ErrNotFound},
		"after the removal":           {to(gone, ofGone), proof.ErrNotFound},
		"of a suspended login":        {to(suspended, ofSuspended), proof.ErrNotFound},
		"of a pending login":          {to(waiting, ofPending), login.ErrNotFound},
		"another address by now":      {elsewhere, login.ErrNotFound},
	} {
		d.Unchanged(t, name, func() {
			if err := d.Store.Reset(t.Context(), c.n, request(c.n.UserID)); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		})
	}
	d.Unchanged(t, "without an event", func() { // R68
		if err := d.Store.Reset(t.Context(), to(l, code), event.Event{}); err == nil {
			t.Error("reset without an event")
		}
	})
	late.Time = late.Time.Add(-time.Microsecond)
	if err := d.Store.Reset(t.Context(), late, request(l.UserID)); err != nil {
		t.Errorf("at the last moment: %v", err)
	}
}

// atOnce tries resets at the same moment: one succeeds, and the others find their codes used.
func (d Database) atOnce(t *testing.T, l login.Login, code func(i int) proof.Code) {
	t.Helper()
	events, mails := len(d.Recorded(t)), d.Queued(t)
	check.OneOf(t, 8, proof.ErrNotFound, func(i int) error {
		return d.Store.Reset(t.Context(), to(l, code(i)), request(l.UserID))
	})
	d.changed(t, l.UserID, events, mails)
}

func oneCodeAtOnce(t *testing.T, d Database) {
	l := proven(t, d, "ada@example.com")
	code := asked(t, d, proof.Reset, l)
	d.atOnce(t, l, func(int) proof.Code { return code })
}

func codesAtOnce(t *testing.T, d Database) {
	l := proven(t, d, "ada@example.com")
	var codes [8]proof.Code
	for i := range codes {
		codes[i] = asked(t, d, proof.Reset, l)
	}
	d.atOnce(t, l, func(i int) proof.Code { return codes[i] })
}

// enrol gives a login a second factor and returns the login as it is then.
func enrol(t *testing.T, d Database, l login.Login) login.Login {
	t.Helper()
	_, err := d.Factors.Enrol(t.Context(), factor.Enrolled{
		UserID: l.UserID, Revision: l.Factor.Revision, PasswordHash: l.PasswordHash, Sealed: []byte("sealed"), Step: 7,
		Codes: []factor.CodeHash{{1}, {2}}, Time: epoch, RevokedUntil: epoch.Add(time.Hour),
	}, request(l.UserID))
	if err != nil {
		t.Fatal(err)
	}
	return d.login(t, l.UserID)
}

func unproven(t *testing.T, d Database) { // R15
	for _, l := range []login.Login{enrol(t, d, logintest.Active(t, d.Logins, "ada@example.com")), enrol(t, d, proven(t, d, "grace@example.com"))} {
		events, mails := len(d.Recorded(t)), d.Queued(t)
		if err := d.Store.Reset(t.Context(), to(l, asked(t, d, proof.Reset, l)), request(l.UserID)); err != nil {
			t.Fatal(err)
		}
		d.changed(t, l.UserID, events+1, mails+1) // the code was asked for in between
		p, err := d.Factors.Person(t.Context(), l.UserID)
		if err != nil || p.Enrolled() != l.EmailVerified || (p.Codes > 0) != l.EmailVerified || p.Revision > l.Factor.Revision == l.EmailVerified {
			t.Errorf("the address was proven: %t; left is %+v, %v", l.EmailVerified, p, err)
		}
	}
}

func overtaken(t *testing.T, d Database) {
	before := logintest.Active(t, d.Logins, "ada@example.com")
	code := asked(t, d, proof.Reset, before)
	enrolled := enrol(t, d, before)
	refused := func(name string, seen login.Login) {
		t.Helper()
		d.Unchanged(t, name, func() {
			if err := d.Store.Reset(t.Context(), to(seen, code), request(seen.UserID)); !errors.Is(err, login.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	refused("another second factor by now", before)
	if err := d.Logins.VerifyEmail(t.Context(), asked(t, d, proof.Verify, enrolled).Hash(), enrolled, epoch, request(enrolled.UserID)); err != nil {
		t.Fatal(err)
	}
	refused("proven by now", enrolled)
	if err := d.Store.Reset(t.Context(), to(d.login(t, before.UserID), code), request(before.UserID)); err != nil {
		t.Errorf("as it is: %v", err)
	}
}

func besideVerification(t *testing.T, d Database) {
	for _, email := range []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com"} {
		l := enrol(t, d, logintest.Active(t, d.Logins, email))
		code, verify := asked(t, d, proof.Reset, l), asked(t, d, proof.Verify, l)
		var wait sync.WaitGroup
		var replaced, marked error
		wait.Go(func() { replaced = d.Store.Reset(t.Context(), to(l, code), request(l.UserID)) })
		wait.Go(func() { marked = d.Logins.VerifyEmail(t.Context(), verify.Hash(), l, epoch, request(l.UserID)) })
		wait.Wait()
		got := d.login(t, l.UserID)
		switch {
		case replaced == nil && errors.Is(marked, proof.ErrNotFound):
			if got.PasswordHash != "$new" || got.Factor.Enrolled {
				t.Errorf("reset first: %+v", got)
			}
		case marked == nil && errors.Is(replaced, login.ErrNotFound):
			if got.PasswordHash != "$hash" || !got.Factor.Enrolled {
				t.Errorf("verified first: %+v", got)
			}
		default:
			t.Errorf("reset: %v, verified: %v", replaced, marked)
		}
		if !got.EmailVerified {
			t.Errorf("nobody has proven %s", email)
		}
	}
}

func besideStart(t *testing.T, d Database) { // R14
	for _, email := range []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com"} {
		l := proven(t, d, email)
		code := asked(t, d, proof.Reset, l)
		n := sessionOf(l.UserID)
		n.ProvenBy = l.PasswordHash
		var wait sync.WaitGroup
		var begun, replaced error
		wait.Go(func() { begun = d.Sessions.Start(t.Context(), n, request(l.UserID)) })
		wait.Go(func() { replaced = d.Store.Reset(t.Context(), to(l, code), request(l.UserID)) })
		wait.Wait()
		_, ended := d.revoked(t)[n.ID]
		if replaced != nil || ended != (begun == nil) || begun != nil && !errors.Is(begun, session.ErrNotFound) {
			t.Errorf("a session beside a reset: %v, revoked: %t; reset: %v", begun, ended, replaced)
		}
	}
}
