package emailchange_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail/mailtest"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// world is one Auth that mails, with a peer.
type world struct {
	*postgrestest.Database
	*emailchange.Service
	office mailtest.Office
	now    time.Time

	mu        sync.Mutex
	fail      error
	told      []login.Email
	meanwhile func() // happens before it answers
}

// SetEmail stands in for Identity, which is beyond the mesh.
func (w *world) SetEmail(_ context.Context, e login.Email) error {
	w.mu.Lock()
	if w.fail == nil {
		w.told = append(w.told, e)
	}
	err, meanwhile := w.fail, w.meanwhile
	w.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	return err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Database: postgrestest.Open(t), now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	w.office = mailtest.NewOffice(t, clock)
	w.Service = emailchange.NewService(emailchange.Params{
		Store: w.Emails, Logins: w.Logins, Codes: w.MailedCodes, Directory: w, Desk: w.office.Desk, Timeout: 5 * time.Second, Grace: 15 * time.Second,
		Retry: 10 * time.Second, Now: clock, Wake: func() {}, Log: slog.New(slog.DiscardHandler),
	})
	return w
}

// signedUp makes an active login.
func (w *world) signedUp(t *testing.T, email string) (userID string) {
	t.Helper()
	signedUp := postgrestest.Event("auth.signed_up")
	userID = uuid.NewString()
	_, _, err := w.Logins.Reserve(t.Context(), login.Login{UserID: userID, Email: email, PasswordHash: "$hash"}, signedUp, w.now, w.now)
	check.NoError(t, err)
	_, err = w.Logins.Activate(t.Context(), login.NewActivation(signedUp, userID, uuid.NewString()), w.now)
	check.NoError(t, err)
	return userID
}

func acting(userID, action string) event.Event {
	e := postgrestest.Event(action)
	e.Actor = event.Actor{Type: event.User, ID: userID}
	return e
}

// letter is what a mail says that nobody reads.
func (*world) letter() mail.Told { return mail.Told{Code: "code", Lasts: time.Hour} }

// asks asks for another address, and returns the code that is mailed there; "" when nobody is told.
func (w *world) asks(t *testing.T, userID, email string) (code proof.Code) {
	t.Helper()
	check.NoError(t, w.Ask(t.Context(), emailchange.Request{UserID: userID, NewEmail: email, Event: acting(userID, "auth.email_change_requested")}))
	for _, m := range w.office.Read(t, w.Mails) {
		if found := regexp.MustCompile(`https://gate\.example/confirm-email\?code=(\S+)`).FindStringSubmatch(m.Text); found != nil {
			code = proof.Code(found[1])
		}
	}
	return code
}

func (w *world) confirms(userID string, code proof.Code) string {
	err := w.Confirm(context.Background(), emailchange.Confirmation{UserID: userID, Code: code, Event: acting(userID, "auth.email_changed")})
	if err == nil {
		return ""
	}
	return apierr.From(err).Reason
}

func (w *world) email(t *testing.T, userID string) string {
	t.Helper()
	l, err := w.Logins.ByUser(t.Context(), userID)
	check.NoError(t, err)
	return l.Email
}

const (
	former = "ada@example.com"
	fresh  = "ada@example.org"
)

// A person who shows the code that was mailed to a new address has that, proven; Identity is told,
// and both addresses.
func TestAnAddressIsChanged(t *testing.T) { // R15, R17
	w := newWorld(t)
	ada := w.signedUp(t, former)
	code := w.asks(t, ada, "Ada@Example.org")
	if got := w.email(t, ada); got != former {
		t.Fatalf("before the code was shown it is %s", got)
	}
	if got := w.confirms(ada, code); got != "" {
		t.Fatal(got)
	}
	l, err := w.Logins.ByEmail(t.Context(), fresh)
	if err != nil || l.UserID != ada || !l.EmailVerified {
		t.Errorf("the login is %+v, %v", l, err)
	}
	if len(w.told) != 1 || w.told[0].UserID != ada || w.told[0].Address != fresh || !w.told[0].Verified || w.told[0].Revision < 1 {
		t.Errorf("Identity was told %+v", w.told)
	}
	told := map[string]string{}
	for _, m := range w.office.Read(t, w.Mails) {
		told[m.To] = m.Subject
	}
	if want := "The address of your account was changed"; len(told) != 2 || told[former] != want || told[fresh] != want {
		t.Errorf("told %v", told)
	}
	events := w.Recorded(t)
	if last := events[len(events)-1]; last.Action != "auth.email_changed" || last.ObjectID != ada || len(last.Changes) != 1 || !last.Changes[0].Personal {
		t.Errorf("recorded %+v", last)
	}
}

// An address that somebody has is answered like any other; its owner alone is told.
func TestATakenAddressIsToldToItsOwner(t *testing.T) { // R10
	w := newWorld(t)
	ada := w.signedUp(t, former)
	w.signedUp(t, "bob@example.com")
	check.NoError(t, w.Ask(t.Context(), emailchange.Request{UserID: ada, NewEmail: "bob@example.com", Event: acting(ada, "auth.email_change_requested")}))
	read := w.office.Read(t, w.Mails)
	if len(read) != 1 || read[0].To != "bob@example.com" || read[0].Subject != "You have an account already" {
		t.Errorf("told %+v", read)
	}
	err := w.Ask(t.Context(), emailchange.Request{UserID: ada, NewEmail: "ADA@example.com", Event: acting(ada, "auth.email_change_requested")})
	if apierr.From(err).Reason != "INVALID_ARGUMENT" {
		t.Errorf("the own address: %v", err)
	}
}

// Every step out of order is refused and changes nothing.
func TestStepsOutOfOrder(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.signedUp(t, former), w.signedUp(t, "bob@example.com")
	refused := func(name, userID string, code proof.Code) {
		t.Helper()
		w.Unchanged(t, name, func() {
			if got := w.confirms(userID, code); got != "INVALID_MAILED_CODE" {
				t.Errorf("%s: %q", name, got)
			}
		})
	}
	refused("before anything was asked for", ada, "guessed")
	older := w.asks(t, ada, "other@example.org")
	code := w.asks(t, ada, fresh)
	refused("an older code", ada, older)
	refused("a code of somebody else", bob, code)
	w.now = w.now.Add(proof.ChangeEmail.Lasts())
	refused("too late", ada, code)
	w.now = w.now.Add(-time.Second)
	if got := w.confirms(ada, code); got != "" {
		t.Fatal(got)
	}
	refused("once more", ada, code)
}

// Of two people who prove one address at the same moment one gets it; so of a person's change and
// a sign-up.
func TestTwoPeopleAfterOneAddress(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.signedUp(t, former), w.signedUp(t, "bob@example.com")
	codes := map[string]proof.Code{ada: w.asks(t, ada, fresh), bob: w.asks(t, bob, fresh)}
	var both sync.WaitGroup
	var mu sync.Mutex
	outcomes := map[string]int{}
	for userID, code := range codes {
		both.Go(func() {
			got := w.confirms(userID, code)
			mu.Lock()
			defer mu.Unlock()
			outcomes[got]++
		})
	}
	both.Wait()
	if outcomes[""] != 1 || outcomes["EMAIL_TAKEN"] != 1 {
		t.Errorf("outcomes %v", outcomes)
	}
	if one, other := w.email(t, ada), w.email(t, bob); (one == fresh) == (other == fresh) {
		t.Errorf("the addresses are %s and %s", one, other)
	}
}

// An interrupted change is completed when Identity answers again, and undone when it refuses; a
// login that got the address meanwhile keeps it.
func TestInterruptedChanges(t *testing.T) {
	cut := func(t *testing.T) (*world, string) {
		w := newWorld(t)
		ada := w.signedUp(t, former)
		code := w.asks(t, ada, fresh)
		w.fail = errors.New("boom")
		if got := w.confirms(ada, code); got != "IDENTITY_UNAVAILABLE" {
			t.Fatal(got)
		}
		w.fail, w.now = nil, w.now.Add(time.Minute)
		return w, ada
	}
	settled := func(t *testing.T, w *world, ada, want string) {
		t.Helper()
		check.NoError(t, w.Reconcile(t.Context()))
		var left, behind int
		check.NoError(t, w.Pool.QueryRow(t.Context(), `
			select count(*) filter (where new_email is not null), count(*) filter (where email_attempt_time is not null) from auth.logins where user_id = $1`, ada).Scan(&left, &behind))
		if got := w.email(t, ada); got != want || left != 0 || behind != 1 {
			t.Errorf("the address is %s, want %s; %d are reserved, of %d Identity will be told", got, want, left, behind)
		}
	}
	t.Run("completed", func(t *testing.T) {
		w, ada := cut(t)
		settled(t, w, ada, fresh)
		if read := w.office.Read(t, w.Mails); len(read) != 2 {
			t.Errorf("told %+v", read)
		}
	})
	t.Run("refused", func(t *testing.T) {
		w, ada := cut(t)
		w.fail = apierr.New(apierr.AlreadyExists, "EMAIL_TAKEN", "taken")
		settled(t, w, ada, former)
	})
	t.Run("wanted by another", func(t *testing.T) {
		w, ada := cut(t)
		bob := w.signedUp(t, "bob@example.com")
		code := w.asks(t, bob, fresh)
		if got := w.confirms(bob, code); got != "EMAIL_TAKEN" || w.email(t, bob) != "bob@example.com" {
			t.Errorf("%q, and the other one has %s", got, w.email(t, bob))
		}
		settled(t, w, ada, fresh)
	})
	t.Run("overtaken by a sign-up", func(t *testing.T) {
		w, ada := cut(t)
		w.signedUp(t, fresh)
		settled(t, w, ada, former)
	})
}
