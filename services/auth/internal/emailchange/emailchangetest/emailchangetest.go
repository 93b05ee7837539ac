// Package emailchangetest is the conformance suite of emailchange.Store: what its comments promise,
// checked against a real implementation.
package emailchangetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/emailchange"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/login/logintest"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Database is the stores of one empty database; Store is under test.
type Database struct {
	Store  emailchange.Store
	Logins login.Store
	Codes  proof.Store
	// Queued counts the mails that wait.
	Queued func(t *testing.T) int
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
	// Unchanged checks that what is tried changes no row of the database.
	Unchanged func(t *testing.T, name string, try func())
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const former, fresh = "ada@example.com", "ada@example.org"

// Run holds a store to the words of emailchange.Store.
func Run(t *testing.T, open func(t *testing.T) Database) {
	for name, test := range map[string]func(*testing.T, Database){
		"an address is reserved, then the login's":    committed,
		"reserving out of order changes nothing":      reserveOutOfOrder,
		"settling out of order changes nothing":       settleOutOfOrder,
		"of many uses of one code one succeeds":       usedAtOnce,
		"of many people after one address one wins":   wantedAtOnce,
		"a change is committed once, by whoever":      committedAtOnce,
		"of committing and undoing one happens":       commitBesideUndo,
		"another login may get the address meanwhile": takenMeanwhile,
		"what is undone is told to Identity":          undone,
		"a newer change replaces the older one":       replaced,
		"each due change is driven by one caller":     claimed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func request(userID string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: "auth.tested", Outcome: event.Success, Actor: event.Actor{Type: event.User, ID: userID},
		ObjectType: "user", ObjectID: userID, RequestID: "request-1", TraceID: "0123456789abcdef0123456789abcdef",
	}
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
func asked(t *testing.T, d Database, p proof.Purpose, userID, email string) proof.Code {
	t.Helper()
	waits, code := proof.New(p, email, epoch)
	waits.UserID = userID
	if err := d.Codes.Ask(t.Context(), waits, told(mail.ChangeEmail, string(code)), request(userID)); err != nil {
		t.Fatal(err)
	}
	return code
}

func (d Database) reserve(code proof.Code, userID string, now time.Time) (emailchange.Change, error) {
	c := emailchange.Change{UserID: userID, Event: request(userID), Accept: "de"}
	return d.Store.Reserve(context.Background(), code.Hash(), c, now, now.Add(time.Minute))
}

// reserved is a change of a login to an address.
func reserved(t *testing.T, d Database, userID, email string) emailchange.Change {
	t.Helper()
	c, err := d.reserve(asked(t, d, proof.ChangeEmail, userID, email), userID, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (d Database) commit(c emailchange.Change) error {
	return d.Store.Commit(context.Background(), c, epoch, told(mail.EmailChanged, c.Former), told(mail.EmailChanged, c.Email))
}

// due is what Identity is to be told of a user.
func (d Database) due(t *testing.T, userID string) (all []login.Email) {
	t.Helper()
	found, err := d.Logins.ClaimEmails(t.Context(), epoch, epoch, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range found {
		if e.UserID == userID {
			all = append(all, e)
		}
	}
	return all
}

// settled checks the address of a login, and that Identity is to be told of it by a later revision.
func (d Database) settled(t *testing.T, c emailchange.Change, email string, proven bool) {
	t.Helper()
	if l := d.login(t, c.UserID); l.Email != email || l.EmailVerified != proven {
		t.Errorf("the login is %+v, want it to have %s, proven: %t", l, email, proven)
	}
	if due := d.due(t, c.UserID); len(due) != 1 || due[0].Address != email || due[0].Verified != proven || due[0].Revision <= c.Revision {
		t.Errorf("Identity is to be told %+v, want %s by a later revision than %d", due, email, c.Revision)
	}
}

func committed(t *testing.T, d Database) { // R15, R17, R67
	l, other := logintest.Active(t, d.Logins, former), logintest.Active(t, d.Logins, "other@example.com")
	before := len(d.Recorded(t))
	c := reserved(t, d, l.UserID, fresh)
	if c.UserID != l.UserID || c.OrganizationID != l.OrganizationID || c.Former != former || c.Email != fresh || c.Revision < 1 || c.Accept != "de" || c.Event.Action != "auth.tested" {
		t.Fatalf("reserved %+v", c)
	}
	if got := d.login(t, l.UserID); got != l || len(d.due(t, l.UserID)) != 0 {
		t.Errorf("while it is reserved the login is %+v, and Identity is to be told %+v", got, d.due(t, l.UserID))
	}
	mails := d.Queued(t)
	if err := d.commit(c); err != nil {
		t.Fatal(err)
	}
	d.settled(t, c, fresh, true)
	if got := d.login(t, other.UserID); got != other {
		t.Errorf("somebody else's login is %+v", got)
	}
	if recorded, queued := len(d.Recorded(t))-before, d.Queued(t)-mails; recorded != 2 || queued != 2 {
		t.Errorf("%d events and %d notices, want two of each: that of the request for a code, and both addresses", recorded, queued)
	}
}

func reserveOutOfOrder(t *testing.T, d Database) {
	ada, bob := logintest.Active(t, d.Logins, former), logintest.Active(t, d.Logins, "bob@example.com")
	waiting, gone, suspended := logintest.Reserved(t, d.Logins, "pending@example.com"), logintest.Active(t, d.Logins, "gone@example.com"), logintest.Active(t, d.Logins, "suspended@example.com")
	older := asked(t, d, proof.ChangeEmail, ada.UserID, "typo@example.org")
	code, verify := asked(t, d, proof.ChangeEmail, ada.UserID, fresh), asked(t, d, proof.Verify, ada.UserID, former)
	taken := asked(t, d, proof.ChangeEmail, bob.UserID, former)
	ofPending := asked(t, d, proof.ChangeEmail, waiting.UserID, "pending@example.org")
	ofGone, ofSuspended := asked(t, d, proof.ChangeEmail, gone.UserID, "gone@example.org"), asked(t, d, proof.ChangeEmail, suspended.UserID, "suspended@example.org")
	if err := d.Logins.Remove(t.Context(), gone.UserID, epoch, request(gone.UserID)); err != nil {
		t.Fatal(err)
	}
	standing := login.Standing{UserID: suspended.UserID, Revision: 2, Suspended: true, Time: epoch, RevokedUntil: epoch}
	if err := d.Logins.SetStanding(t.Context(), standing, request(suspended.UserID)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		code   proof.Code
		userID string
		at     time.Time
		want   error
	}{
		"a code that nobody was told": {proof.NewCode(), ada.UserID, epoch, proof.ErrNotFound},
		"an older code":               {older, ada.UserID, epoch, proof.ErrNotFound},
		"a code of another purpose":   {verify, ada.UserID, epoch, proof.ErrNotFound},
		"a code of somebody else":     {code, bob.UserID, epoch, proof.ErrNotFound},
		"too late":                    {code, ada.UserID, epoch.Add(proof.ChangeEmail.Lasts()), proof.ErrNotFound},
		"after the removal":           {ofGone, gone.UserID, epoch, proof.ErrNotFound},
		"of a suspended login":        {ofSuspended, suspended.UserID, epoch, proof.ErrNotFound},
		"of a pending login":          {ofPending, waiting.UserID, epoch, login.ErrNotFound},
		"an address of a login":       {taken, bob.UserID, epoch, emailchange.ErrTaken},
	} {
		d.Unchanged(t, name, func() {
			if _, err := d.reserve(c.code, c.userID, c.at); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		})
	}
	if _, err := d.reserve(code, ada.UserID, epoch.Add(proof.ChangeEmail.Lasts()-time.Microsecond)); err != nil {
		t.Errorf("at the last moment: %v", err)
	}
	d.Unchanged(t, "once more", func() {
		if _, err := d.reserve(code, ada.UserID, epoch); !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("once more: %v", err)
		}
	})
}

func settleOutOfOrder(t *testing.T, d Database) {
	l, bob := logintest.Active(t, d.Logins, former), logintest.Active(t, d.Logins, "bob@example.com")
	nothing := emailchange.Change{UserID: l.UserID, Former: former, Email: fresh, Revision: 1, Event: request(l.UserID)}
	refused := func(name string, c emailchange.Change) {
		t.Helper()
		d.Unchanged(t, name, func() {
			if err := d.commit(c); !errors.Is(err, emailchange.ErrNotFound) {
				t.Errorf("committing %s: %v", name, err)
			}
			if err := d.Store.Undo(t.Context(), c, epoch); err != nil {
				t.Errorf("undoing %s: %v", name, err)
			}
		})
	}
	refused("what was never reserved", nothing)
	c := reserved(t, d, l.UserID, fresh)
	later, elsewhere, theirs := c, c, c
	later.Revision++
	elsewhere.Email = "ada@example.net"
	theirs.UserID = bob.UserID
	refused("another revision", later)
	refused("another address", elsewhere)
	refused("of somebody else", theirs)
	unrecorded := c
	unrecorded.Event = event.Event{}
	d.Unchanged(t, "without an event", func() { // R68
		if err := d.commit(unrecorded); err == nil {
			t.Error("committed without an event")
		}
	})
	if err := d.Store.Undo(t.Context(), c, epoch); err != nil {
		t.Fatal(err)
	}
	refused("what was undone", c)
}

func usedAtOnce(t *testing.T, d Database) {
	l := logintest.Active(t, d.Logins, former)
	code := asked(t, d, proof.ChangeEmail, l.UserID, fresh)
	check.OneOf(t, 8, proof.ErrNotFound, func(int) error {
		_, err := d.reserve(code, l.UserID, epoch)
		return err
	})
}

func wantedAtOnce(t *testing.T, d Database) {
	var users [8]string
	var codes [8]proof.Code
	for i := range users {
		users[i] = logintest.Active(t, d.Logins, fmt.Sprintf("user%d@example.com", i)).UserID
		codes[i] = asked(t, d, proof.ChangeEmail, users[i], fresh)
	}
	check.OneOf(t, 8, emailchange.ErrTaken, func(i int) error {
		_, err := d.reserve(codes[i], users[i], epoch)
		return err
	})
}

func committedAtOnce(t *testing.T, d Database) { // R67
	l := logintest.Active(t, d.Logins, former)
	c := reserved(t, d, l.UserID, fresh)
	events, mails := len(d.Recorded(t)), d.Queued(t)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if err := d.commit(c); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if recorded, queued := len(d.Recorded(t))-events, d.Queued(t)-mails; recorded != 1 || queued != 2 {
		t.Errorf("%d events and %d notices, want one change", recorded, queued)
	}
	d.settled(t, c, fresh, true)
	d.Unchanged(t, "undone when it is committed", func() {
		if err := d.Store.Undo(t.Context(), c, epoch); err != nil {
			t.Error(err)
		}
	})
}

func commitBesideUndo(t *testing.T, d Database) {
	for i := range 5 {
		l := logintest.Active(t, d.Logins, fmt.Sprintf("user%d@example.com", i))
		c := reserved(t, d, l.UserID, fmt.Sprintf("user%d@example.org", i))
		var wait sync.WaitGroup
		var done, undone error
		wait.Go(func() { done = d.commit(c) })
		wait.Go(func() { undone = d.Store.Undo(context.Background(), c, epoch) })
		wait.Wait()
		if undone != nil || done != nil && !errors.Is(done, emailchange.ErrNotFound) {
			t.Errorf("committed: %v, undone: %v", done, undone)
		}
		want := l.Email
		if done == nil {
			want = c.Email
		}
		d.settled(t, c, want, done == nil)
	}
}

func takenMeanwhile(t *testing.T, d Database) {
	l := logintest.Active(t, d.Logins, former)
	c := reserved(t, d, l.UserID, fresh)
	logintest.Active(t, d.Logins, fresh) // a sign-up does not ask who is about to get an address
	d.Unchanged(t, "committed", func() {
		if err := d.commit(c); !errors.Is(err, emailchange.ErrTaken) {
			t.Errorf("committed: %v, want ErrTaken", err)
		}
	})
	if err := d.Store.Undo(t.Context(), c, epoch); err != nil {
		t.Fatal(err)
	}
	d.settled(t, c, former, false)
}

func undone(t *testing.T, d Database) {
	l, bob := logintest.Active(t, d.Logins, former), logintest.Active(t, d.Logins, "bob@example.com")
	c := reserved(t, d, l.UserID, fresh)
	events, mails := len(d.Recorded(t)), d.Queued(t)
	if err := d.Store.Undo(t.Context(), c, epoch); err != nil {
		t.Fatal(err)
	}
	d.settled(t, c, former, false)
	if len(d.Recorded(t)) != events || d.Queued(t) != mails {
		t.Error("something is recorded or told of a change that did not happen")
	}
	d.Unchanged(t, "once more", func() {
		if err := d.Store.Undo(t.Context(), c, epoch); err != nil {
			t.Error(err)
		}
	})
	reserved(t, d, bob.UserID, fresh) // it is free again
}

func replaced(t *testing.T, d Database) {
	l, bob := logintest.Active(t, d.Logins, former), logintest.Active(t, d.Logins, "bob@example.com")
	older := reserved(t, d, l.UserID, "typo@example.org")
	newer := reserved(t, d, l.UserID, fresh)
	if newer.Revision <= older.Revision {
		t.Errorf("revisions %d, then %d", older.Revision, newer.Revision)
	}
	d.Unchanged(t, "the older one", func() {
		if err := d.commit(older); !errors.Is(err, emailchange.ErrNotFound) {
			t.Errorf("the older one: %v", err)
		}
	})
	reserved(t, d, bob.UserID, "typo@example.org") // it is free again
	if err := d.commit(newer); err != nil {
		t.Fatal(err)
	}
	d.settled(t, newer, fresh, true)
}

func claimed(t *testing.T, d Database) {
	const many = 5
	want := map[string]emailchange.Change{}
	for i := range many {
		l := logintest.Active(t, d.Logins, fmt.Sprintf("user%d@example.com", i))
		want[l.UserID] = reserved(t, d, l.UserID, fmt.Sprintf("user%d@example.org", i))
	}
	claim := func(now time.Time, limit int) []emailchange.Change {
		found, err := d.Store.Claim(context.Background(), now, now.Add(time.Minute), limit)
		if err != nil {
			t.Error(err)
		}
		return found
	}
	if early := claim(epoch.Add(59*time.Second), many); len(early) != 0 {
		t.Errorf("claimed %d before the time of the request is over", len(early))
	}
	due := epoch.Add(time.Minute)
	var mu sync.Mutex
	seen := map[string]int{}
	note := func(limit int) {
		for _, c := range claim(due, limit) {
			mu.Lock()
			if seen[c.UserID]++; fmt.Sprint(c) != fmt.Sprint(want[c.UserID]) {
				t.Errorf("claimed %+v, want %+v", c, want[c.UserID])
			}
			mu.Unlock()
		}
	}
	var wait sync.WaitGroup
	for range many {
		wait.Go(func() { note(2) })
	}
	wait.Wait()
	note(many) // what was locked by others at that moment
	for userID, times := range seen {
		if times != 1 {
			t.Errorf("%s was claimed %d times", userID, times)
		}
	}
	if len(seen) != many {
		t.Errorf("%d changes were claimed, want %d", len(seen), many)
	}
	if bounded := claim(due.Add(time.Minute), 3); len(bounded) != 3 {
		t.Errorf("claimed %d, want the limit of 3", len(bounded))
	}
	for _, c := range want {
		if err := d.commit(c); err != nil {
			t.Fatal(err)
		}
	}
	if left := claim(epoch.Add(time.Hour), many); len(left) != 0 {
		t.Errorf("claimed %+v after they were committed", left)
	}
}
