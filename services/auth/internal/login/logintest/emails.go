package logintest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

const emailAddress = "ada@example.com"

func runEmails(t *testing.T, open func(t *testing.T) Stores) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Stores){
		"an address is verified once":                  verifyEmail,
		"verifications out of order change nothing":    verifyOutOfOrder,
		"of verifications at once one succeeds":        verifyAtOnce,
		"a sign-up is completed once by its own code":  reserveProven,
		"sign-ups of one address have one winner":      reserveProvenAtOnce,
		"each due address is told by one caller":       claimEmails,
		"addresses of pending logins are not told yet": claimEmailsOfPending,
		"an address that changed again is told again":  emailTold,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// Active makes an active login, whose address nobody has proven.
func Active(t *testing.T, s login.Store, email string) login.Login {
	t.Helper()
	l := Reserved(t, s, email)
	activateLogin(t, s, l.UserID, uuid.NewString())
	l, err := s.ByUser(t.Context(), l.UserID)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// asked stores what waits for a code of a user.
func asked(t *testing.T, s Stores, p proof.Purpose, userID, email string) proof.Code {
	t.Helper()
	waits, code := proof.New(p, email, epoch)
	waits.UserID = userID
	m := &mail.Queued{
		ID: uuid.NewString(), Kind: mail.VerifyEmail, Address: []byte(code), Sealed: []byte("sealed"), CreateTime: epoch, ExpireTime: waits.ExpireTime,
	}
	if err := s.Codes.Ask(t.Context(), waits, m, request(userID)); err != nil {
		t.Fatal(err)
	}
	return code
}

func verifyEmail(t *testing.T, s Stores) {
	l, other := Active(t, s.Logins, emailAddress), Active(t, s.Logins, "other@example.com")
	code := asked(t, s, proof.Verify, l.UserID, l.Email)
	before := len(s.Recorded(t))
	if err := s.Logins.VerifyEmail(t.Context(), code.Hash(), l, epoch, request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Recorded(t)) - before; n != 1 {
		t.Errorf("%d events, want one (R67)", n)
	}
	l.EmailVerified = true
	find(t, s.Logins, l.Email, l)
	find(t, s.Logins, other.Email, other)
	due, err := s.Logins.ClaimEmails(t.Context(), epoch, epoch.Add(time.Minute), 10)
	if want := (login.Email{UserID: l.UserID, Address: l.Email, Verified: true, Revision: 1}); err != nil || len(due) != 1 || due[0] != want {
		t.Errorf("Identity is to be told %+v, %v; want %+v", due, err, want)
	}
	s.Unchanged(t, "once more", func() {
		if err := s.Logins.VerifyEmail(t.Context(), code.Hash(), l, epoch, request(l.UserID)); !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("once more: %v", err)
		}
	})
}

func verifyOutOfOrder(t *testing.T, s Stores) {
	l, bob := Active(t, s.Logins, emailAddress), Active(t, s.Logins, "bob@example.com")
	waiting, gone := Reserved(t, s.Logins, "pending@example.com"), Active(t, s.Logins, "gone@example.com")
	code := asked(t, s, proof.Verify, l.UserID, l.Email)
	mistyped := asked(t, s, proof.Verify, bob.UserID, "former@example.com")
	ofPending := asked(t, s, proof.Verify, waiting.UserID, waiting.Email)
	ofGone := asked(t, s, proof.Verify, gone.UserID, gone.Email)
	if err := s.Logins.Remove(t.Context(), gone.UserID, epoch, request(gone.UserID)); err != nil {
		t.Fatal(err)
	}
	reset := asked(t, s, proof.Reset, l.UserID, l.Email)
	changed := l
	changed.PasswordHash = "$changed"
	for name, c := range map[string]struct {
		code  proof.Code
		login login.Login
		at    time.Time
		event event.Event
		want  error // nil is any other
	}{
		"a code that nobody was told": {proof.NewCode(), l, epoch, request(l.UserID), proof.ErrNotFound},
		"a code of another purpose":   {reset, l, epoch, request(l.UserID), proof.ErrNotFound},
		"too late":                    {code, l, epoch.Add(proof.Verify.Lasts()), request(l.UserID), proof.ErrNotFound},
		"after the removal":           {ofGone, gone, epoch, request(gone.UserID), proof.ErrNotFound},
		"another password by now":     {code, changed, epoch, request(l.UserID), login.ErrNotFound},
		"another address by now":      {mistyped, bob, epoch, request(bob.UserID), login.ErrNotFound},
		"a pending login":             {ofPending, waiting, epoch, request(waiting.UserID), login.ErrNotFound},
		"without an event":            {code, l, epoch, event.Event{}, nil}, // R68
	} {
		s.Unchanged(t, name, func() {
			err := s.Logins.VerifyEmail(t.Context(), c.code.Hash(), c.login, c.at, c.event)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		})
	}
	standing(t, s, l.UserID, 2, true)
	s.Unchanged(t, "of a suspended login", func() {
		if err := s.Logins.VerifyEmail(t.Context(), code.Hash(), l, epoch, request(l.UserID)); !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("of a suspended login: %v", err)
		}
	})
}

func verifyAtOnce(t *testing.T, s Stores) {
	l := Active(t, s.Logins, emailAddress)
	code := asked(t, s, proof.Verify, l.UserID, l.Email)
	before := len(s.Recorded(t))
	check.OneOf(t, 8, proof.ErrNotFound, func(int) error {
		return s.Logins.VerifyEmail(t.Context(), code.Hash(), l, epoch, request(l.UserID))
	})
	if n := len(s.Recorded(t)) - before; n != 1 {
		t.Errorf("%d events, want one (R67)", n)
	}
}

func reserveProven(t *testing.T, s Stores) {
	code, late := asked(t, s, proof.SignUp, "", emailAddress), asked(t, s, proof.SignUp, "", emailAddress)
	verify := asked(t, s, proof.Verify, uuid.NewString(), emailAddress)
	l := pending(emailAddress)
	l.EmailVerified = true
	try := func(code proof.Code, l login.Login, at time.Time, e event.Event) error {
		return s.Logins.ReserveProven(t.Context(), code.Hash(), l, e, at, at)
	}
	refused := func(name string, want, err error) {
		t.Helper()
		if err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	invited := l
	invited.Invited = true
	s.Unchanged(t, "before its time", func() {
		refused("a code that nobody was told", proof.ErrNotFound, try(proof.NewCode(), l, epoch, request(l.UserID)))
		refused("a code of another purpose", proof.ErrNotFound, try(verify, l, epoch, request(l.UserID)))
		refused("as an invitation", proof.ErrNotFound, try(code, invited, epoch, request(l.UserID)))
		refused("too late", proof.ErrNotFound, try(code, l, epoch.Add(proof.SignUp.Lasts()), request(l.UserID)))
		refused("without an event", nil, try(code, l, epoch, event.Event{})) // R68
	})
	if err := try(code, l, epoch, request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	find(t, s.Logins, emailAddress, l)
	s.Unchanged(t, "afterwards", func() {
		refused("once more", proof.ErrNotFound, try(code, pending(emailAddress), epoch, request("")))
		refused("another sign-up of the address", login.ErrTaken, try(late, pending(emailAddress), epoch, request("")))
	})
}

func reserveProvenAtOnce(t *testing.T, s Stores) {
	one := asked(t, s, proof.SignUp, "", emailAddress)
	check.OneOf(t, 8, proof.ErrNotFound, func(int) error {
		return s.Logins.ReserveProven(t.Context(), one.Hash(), pending(emailAddress), request(""), epoch, epoch)
	})
	codes := make([]proof.Code, 8)
	for i := range codes {
		codes[i] = asked(t, s, proof.SignUp, "", "grace@example.com")
	}
	check.OneOf(t, 8, login.ErrTaken, func(i int) error {
		return s.Logins.ReserveProven(t.Context(), codes[i].Hash(), pending("grace@example.com"), request(""), epoch, epoch)
	})
}

// verified makes active logins whose addresses Identity has to learn of.
func verified(t *testing.T, s Stores, emails ...string) map[string]bool {
	t.Helper()
	users := map[string]bool{}
	for _, email := range emails {
		l := Active(t, s.Logins, email)
		code := asked(t, s, proof.Verify, l.UserID, l.Email)
		if err := s.Logins.VerifyEmail(t.Context(), code.Hash(), l, epoch, request(l.UserID)); err != nil {
			t.Fatal(err)
		}
		users[l.UserID] = true
	}
	return users
}

func claimEmails(t *testing.T, s Stores) {
	want := verified(t, s, "a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com")
	Active(t, s.Logins, "unproven@example.com")
	due := func(now time.Time, limit int) []login.Email {
		found, err := s.Logins.ClaimEmails(t.Context(), now, now.Add(time.Minute), limit)
		if err != nil {
			t.Error(err)
		}
		return found
	}
	if early := due(epoch.Add(-time.Second), 10); len(early) != 0 {
		t.Errorf("claimed %+v before it is due", early)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wait sync.WaitGroup
	for range 5 { // as many calls as addresses: one that finds the others' rows locked may claim none
		wait.Go(func() {
			for _, e := range due(epoch, 2) {
				mu.Lock()
				seen[e.UserID]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	for _, e := range due(epoch, 10) {
		seen[e.UserID]++
	}
	for user, times := range seen {
		if !want[user] || times != 1 {
			t.Errorf("%s was claimed %d times", user, times)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("%d addresses were claimed, want %d", len(seen), len(want))
	}
	if early := due(epoch.Add(59*time.Second), 10); len(early) != 0 {
		t.Errorf("claimed %+v again before the next attempt", early)
	}
	if bounded := due(epoch.Add(time.Minute), 3); len(bounded) != 3 {
		t.Errorf("claimed %d, want the limit of 3", len(bounded))
	}
}

func claimEmailsOfPending(t *testing.T, s Stores) {
	code := asked(t, s, proof.SignUp, "", emailAddress)
	l := pending(emailAddress)
	l.EmailVerified = true
	if err := s.Logins.ReserveProven(t.Context(), code.Hash(), l, request(l.UserID), epoch, epoch); err != nil {
		t.Fatal(err)
	}
	for range 2 { // Identity learns of a sign-up's address with the user
		if due, err := s.Logins.ClaimEmails(t.Context(), epoch.Add(time.Hour), epoch.Add(time.Hour), 10); err != nil || len(due) != 0 {
			t.Errorf("claimed %+v, %v", due, err)
		}
		activateLogin(t, s.Logins, l.UserID, uuid.NewString())
	}
}

func emailTold(t *testing.T, s Stores) {
	verified(t, s, emailAddress)
	due := func(now time.Time) []login.Email {
		t.Helper()
		found, err := s.Logins.ClaimEmails(t.Context(), now, now, 10)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	e := due(epoch)[0]
	for name, other := range map[string]login.Email{
		"of an older revision": {UserID: e.UserID, Address: e.Address, Revision: e.Revision - 1},
		"of a later revision":  {UserID: e.UserID, Address: e.Address, Revision: e.Revision + 1},
		"of nobody":            {UserID: uuid.NewString(), Address: e.Address, Revision: e.Revision},
	} {
		s.Unchanged(t, name, func() {
			if err := s.Logins.EmailTold(t.Context(), other); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	standing(t, s, e.UserID, 2, true) // a suspended login has an address, too
	if again := due(epoch); len(again) != 1 || again[0] != e {
		t.Fatalf("claimed %+v, want %+v again", again, e)
	}
	for range 2 {
		if err := s.Logins.EmailTold(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if left := due(epoch.Add(time.Hour)); len(left) != 0 {
			t.Errorf("claimed %+v after it was told", left)
		}
	}
}
