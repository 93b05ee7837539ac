// Package prooftest is the conformance suite of proof.Store: what its comments promise, checked
// against a real implementation.
package prooftest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
)

// Database is a store on an empty database.
type Database struct {
	Store proof.Store
	// Take uses a code up in a transaction of its own, as other stores do in theirs.
	Take func(ctx context.Context, code proof.Hash, now time.Time, purposes ...proof.Purpose) (proof.Pending, error)
	// Forget makes the codes of a user worthless.
	Forget func(ctx context.Context, userID string, purposes ...proof.Purpose) error
	// Queued counts the mails that wait.
	Queued func(t *testing.T) int
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
}

var begun = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const ada = "ada@example.com"

// Run holds a store to the words of proof.Store.
func Run(t *testing.T, open func(t *testing.T) Database) {
	for name, test := range map[string]func(*testing.T, Database){
		"what waits is found, and used up once":   usedOnce,
		"a code is good for its purpose, a time":  goodFor,
		"of many uses at once one succeeds":       usedAtOnce,
		"a newer code replaces the older one":     replaced,
		"a code that nobody learns replaces none": limited,
		"a reset replaces no other one":           standing,
		"sign-ups of one address do not mix":      unmixed,
		"a user's codes are forgotten":            forgotten,
		"nothing waits without an event":          unrecorded,
		"what expired is deleted":                 cleaned,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// request is the event of a request.
func request() event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: "auth.tested", Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous},
		ObjectType: "user", RequestID: "request-1", TraceID: "0123456789abcdef0123456789abcdef",
	}
}

// told is a mail to an address, which may be any text.
func told(to string) *mail.Queued {
	return &mail.Queued{
		ID: uuid.NewString(), Kind: mail.SignUp, Address: []byte(to), Sealed: []byte("sealed"), CreateTime: begun, ExpireTime: begun.Add(time.Hour),
	}
}

// asked stores what waits for a code of a user.
func (d Database) asked(t *testing.T, p proof.Purpose, userID string) (proof.Pending, proof.Code) {
	t.Helper()
	waits, code := proof.New(p, ada, begun)
	waits.UserID = userID
	if err := d.Store.Ask(t.Context(), waits, told(userID), request()); err != nil {
		t.Fatal(err)
	}
	return waits, code
}

// good wants to know whether a code is good, by both ways to show it; taking it comes last.
func (d Database) good(t *testing.T, code proof.Code, want bool, purposes ...proof.Purpose) {
	t.Helper()
	_, found := d.Store.Find(t.Context(), code.Hash(), begun, purposes...)
	_, taken := d.Take(t.Context(), code.Hash(), begun, purposes...)
	for _, err := range []error{found, taken} {
		if want && err != nil || !want && !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("found %v, taken %v; want it good: %t", found, taken, want)
		}
	}
}

func usedOnce(t *testing.T, d Database) {
	waits, code := proof.New(proof.SignUp, ada, begun)
	waits.PasswordHash, waits.DisplayName, waits.ReturnTo = "$hash", "Ada", "/oauth2/authorize?a=b"
	if err := d.Store.Ask(t.Context(), waits, told(ada), request()); err != nil {
		t.Fatal(err)
	}
	if queued, recorded := d.Queued(t), len(d.Recorded(t)); queued != 1 || recorded != 1 {
		t.Errorf("%d mails and %d events, want one of each", queued, recorded)
	}
	for range 20 { // looking changes nothing
		if got, err := d.Store.Find(t.Context(), code.Hash(), begun, proof.Verify, proof.SignUp); err != nil || got != waits {
			t.Fatalf("found %+v, %v; want %+v", got, err, waits)
		}
	}
	if got, err := d.Take(t.Context(), code.Hash(), begun, proof.SignUp); err != nil || got != waits {
		t.Errorf("taken %+v, %v; want %+v", got, err, waits)
	}
	d.good(t, code, false, proof.SignUp)
}

func goodFor(t *testing.T, d Database) {
	for _, p := range []proof.Purpose{proof.SignUp, proof.Verify, proof.ChangeEmail, proof.Reset, proof.Invitation} {
		waits, code := d.asked(t, p, uuid.NewString())
		if want := map[bool]time.Duration{false: 10 * time.Minute, true: 7 * 24 * time.Hour}[p == proof.Invitation]; waits.ExpireTime.Sub(begun) != want {
			t.Errorf("a code of %s is good for %s", p, waits.ExpireTime.Sub(begun))
		}
		for _, other := range []proof.Purpose{proof.SignUp, proof.Verify, proof.ChangeEmail, proof.Reset, proof.Invitation} {
			if other != p {
				d.good(t, code, false, other)
			}
		}
		d.good(t, proof.NewCode(), false, p)
		if _, err := d.Take(t.Context(), code.Hash(), waits.ExpireTime, p); !errors.Is(err, proof.ErrNotFound) {
			t.Errorf("an expired code of %s: %v", p, err)
		}
		if got, err := d.Take(t.Context(), code.Hash(), waits.ExpireTime.Add(-time.Microsecond), p); err != nil || got != waits {
			t.Errorf("at the last moment: %+v, %v", got, err)
		}
	}
}

func usedAtOnce(t *testing.T, d Database) {
	_, code := d.asked(t, proof.Verify, uuid.NewString())
	var wg sync.WaitGroup
	var taken atomic.Int64
	for range 8 {
		wg.Go(func() {
			switch _, err := d.Take(t.Context(), code.Hash(), begun, proof.Verify); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, proof.ErrNotFound):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if taken.Load() != 1 {
		t.Errorf("taken %d times, want once", taken.Load())
	}
}

func replaced(t *testing.T, d Database) {
	user := uuid.NewString()
	_, older := d.asked(t, proof.Verify, user)
	_, other := d.asked(t, proof.ChangeEmail, user)
	_, somebody := d.asked(t, proof.Verify, uuid.NewString())
	_, newer := d.asked(t, proof.Verify, user)
	d.good(t, older, false, proof.Verify)
	d.good(t, newer, true, proof.Verify)
	d.good(t, other, true, proof.ChangeEmail)
	d.good(t, somebody, true, proof.Verify)
}

// Whoever asks for a reset of somebody else does not make worthless what that one was told.
func standing(t *testing.T, d Database) {
	user := uuid.NewString()
	_, older := d.asked(t, proof.Reset, user)
	_, newer := d.asked(t, proof.Reset, user)
	d.good(t, older, true, proof.Reset)
	d.good(t, newer, true, proof.Reset)
}

// Whoever asks again and again for a code of somebody else does not make worthless the one that was
// told.
func limited(t *testing.T, d Database) {
	user := uuid.NewString()
	var last proof.Code
	for range mail.MostAsked {
		_, last = d.asked(t, proof.Verify, user)
	}
	_, untold := d.asked(t, proof.Verify, user)
	if queued := d.Queued(t); queued != mail.MostAsked {
		t.Errorf("%d mails, want %d", queued, mail.MostAsked)
	}
	if p, err := d.Store.Find(t.Context(), untold.Hash(), begun, proof.Verify); err != nil || p.UserID != "" {
		t.Errorf("the code that nobody was told of is %+v, %v; want it of nobody", p, err)
	}
	d.good(t, last, true, proof.Verify)
}

func unmixed(t *testing.T, d Database) {
	codes := map[string]proof.Code{}
	for _, name := range []string{"Ada", "Eve"} {
		p, code := proof.New(proof.SignUp, ada, begun)
		p.DisplayName, codes[name] = name, code
		if err := d.Store.Ask(t.Context(), p, told(ada), request()); err != nil {
			t.Fatal(err)
		}
	}
	for name, code := range codes {
		if p, err := d.Take(t.Context(), code.Hash(), begun, proof.SignUp); err != nil || p.DisplayName != name {
			t.Errorf("taken %+v, %v; want %s", p, err, name)
		}
	}
}

func forgotten(t *testing.T, d Database) {
	user := uuid.NewString()
	_, reset := d.asked(t, proof.Reset, user)
	_, verify := d.asked(t, proof.Verify, user)
	_, other := d.asked(t, proof.Reset, uuid.NewString())
	if err := d.Forget(t.Context(), user, proof.Reset); err != nil {
		t.Fatal(err)
	}
	d.good(t, reset, false, proof.Reset)
	if _, err := d.Store.Find(t.Context(), verify.Hash(), begun, proof.Verify); err != nil {
		t.Errorf("a code of another purpose: %v", err)
	}
	if err := d.Forget(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	d.good(t, verify, false, proof.Verify)
	d.good(t, other, true, proof.Reset)
}

func unrecorded(t *testing.T, d Database) { // R67
	p, code := proof.New(proof.SignUp, ada, begun)
	if err := d.Store.Ask(t.Context(), p, told(ada), event.Event{}); err == nil {
		t.Error("asked without an event")
	}
	if d.Queued(t) != 0 {
		t.Error("a mail is queued")
	}
	d.good(t, code, false, proof.SignUp)
}

func cleaned(t *testing.T, d Database) {
	for range 5 {
		d.asked(t, proof.SignUp, "")
	}
	kept, code := d.asked(t, proof.Invitation, uuid.NewString())
	if n, err := d.Store.Clean(t.Context(), begun.Add(9*time.Minute), 10); err != nil || n != 0 {
		t.Errorf("deleted %d too early, %v", n, err)
	}
	for _, want := range []int{3, 2, 0} {
		if n, err := d.Store.Clean(t.Context(), begun.Add(10*time.Minute), 3); err != nil || n != want {
			t.Errorf("deleted %d, %v; want %d", n, err, want)
		}
	}
	d.good(t, code, true, kept.Purpose)
}
