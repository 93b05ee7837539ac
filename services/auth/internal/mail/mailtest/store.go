package mailtest

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
)

// Database is a store on an empty database.
type Database struct {
	Store mail.Store
	Queue func(t *testing.T, q *mail.Queued) // commits a transaction that adds a mail
}

var begun = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// fresh is a mail to an address, queued at a time.
func fresh(address string, at time.Time) *mail.Queued {
	return &mail.Queued{
		ID: uuid.NewString(), Kind: mail.PasswordChanged, Address: []byte(address), Sealed: []byte("sealed"), CreateTime: at, ExpireTime: at.Add(time.Hour),
	}
}

// Run holds a store to the words of mail.Store.
func Run(t *testing.T, open func(t *testing.T) Database) {
	for name, test := range map[string]func(*testing.T, Database){
		"a claim lasts until its lease ends":       claimLasts,
		"a claim is nobody else's":                 claimIsOnes,
		"what was sent is gone":                    sentIsGone,
		"a late attempt changes nothing":           lateAttempt,
		"a parked mail says nothing and stays":     parkedStays,
		"what expired is not sent, and told":       expiredGoes,
		"an address has five an hour":              fiveAnHour,
		"who asks leaves room for notices":         strangersLeaveRoom,
		"five an hour, queued all at once":         fiveAtOnce,
		"resealing changes all that wait, or none": reseals,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

// claim takes what is due.
func (d Database) claim(t *testing.T, at time.Time) []mail.Claimed {
	t.Helper()
	claimed, err := d.Store.Claim(t.Context(), at, at.Add(mail.Lease), 10)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}

func claimLasts(t *testing.T, d Database) {
	q := fresh("ada", begun)
	d.Queue(t, q)
	claimed := d.claim(t, begun)
	if len(claimed) != 1 || claimed[0].ID != q.ID || claimed[0].Kind != q.Kind || !bytes.Equal(claimed[0].Sealed, q.Sealed) || claimed[0].Attempt != 1 ||
		!claimed[0].CreateTime.Equal(begun) || !claimed[0].ExpireTime.Equal(q.ExpireTime) {
		t.Fatalf("claimed %+v", claimed)
	}
	if again := d.claim(t, begun.Add(mail.Lease-time.Second)); len(again) != 0 {
		t.Errorf("claimed twice: %+v", again)
	}
	if after := d.claim(t, begun.Add(mail.Lease)); len(after) != 1 || after[0].ID != q.ID || after[0].Attempt != 2 {
		t.Errorf("claimed after the lease: %+v", after)
	}
}

func claimIsOnes(t *testing.T, d Database) {
	const mails, instances = 40, 4
	for range mails {
		d.Queue(t, fresh(uuid.NewString(), begun))
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[string]int{}
	for range instances {
		wg.Go(func() {
			for {
				claimed, err := d.Store.Claim(t.Context(), begun, begun.Add(mail.Lease), 3)
				if err != nil {
					t.Error(err)
				}
				if len(claimed) == 0 {
					return
				}
				mu.Lock()
				for _, c := range claimed {
					seen[c.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for d := range seen {
		if seen[d] != 1 {
			t.Errorf("%s was claimed %d times", d, seen[d])
		}
	}
	if len(seen) != mails {
		t.Errorf("%d of %d were claimed", len(seen), mails)
	}
}

// standing wants so many mails that wait and are parked.
func (d Database) standing(t *testing.T, waiting, parked int) mail.Standing {
	t.Helper()
	s, err := d.Store.Standing(t.Context())
	if err != nil || s.Waiting != waiting || s.Parked != parked {
		t.Errorf("%+v wait, %v; want %d, and %d parked", s, err, waiting, parked)
	}
	return s
}

func sentIsGone(t *testing.T, d Database) {
	d.Queue(t, fresh("ada", begun))
	if s := d.standing(t, 1, 0); !s.Oldest.Equal(begun) {
		t.Errorf("the oldest is of %s", s.Oldest)
	}
	if err := d.Store.Sent(t.Context(), d.claim(t, begun)[0].ID); err != nil {
		t.Fatal(err)
	}
	if s := d.standing(t, 0, 0); !s.Oldest.IsZero() || len(d.claim(t, begun.Add(mail.Lease))) != 0 {
		t.Errorf("it is there still: %+v", s)
	}
}

func lateAttempt(t *testing.T, d Database) {
	d.Queue(t, fresh("ada", begun))
	late := d.claim(t, begun)[0]
	next := begun.Add(mail.Lease)
	current := d.claim(t, next)[0]
	if err := errors.Join(d.Store.Park(t.Context(), late, next, "late"), d.Store.Retry(t.Context(), late, begun, "late", []byte("late"))); err != nil {
		t.Fatal(err)
	}
	if d.standing(t, 1, 0); len(d.claim(t, next)) != 0 {
		t.Error("the late attempt freed the mail")
	}
	if err := d.Store.Retry(t.Context(), current, next.Add(time.Minute), "busy", nil); err != nil {
		t.Fatal(err)
	}
	if again := d.claim(t, next.Add(time.Minute)); len(again) != 1 || string(again[0].Sealed) != "sealed" {
		t.Errorf("after the pause: %+v", again)
	}
}

func parkedStays(t *testing.T, d Database) {
	d.Queue(t, fresh("ada", begun))
	if err := d.Store.Park(t.Context(), d.claim(t, begun)[0], begun, "550"); err != nil {
		t.Fatal(err)
	}
	d.standing(t, 0, 1)
	if len(d.claim(t, begun.Add(mail.Lease))) != 0 {
		t.Error("a parked mail is claimed")
	}
	for _, c := range []struct {
		before time.Time
		parked int
	}{{begun.Add(-time.Second), 1}, {begun, 0}} {
		if expired, err := d.Store.Clean(t.Context(), begun.Add(2*time.Hour), c.before, begun); err != nil || len(expired) != 0 {
			t.Errorf("expired %v, %v", expired, err)
		}
		d.standing(t, 0, c.parked)
	}
}

func expiredGoes(t *testing.T, d Database) {
	q := fresh("ada", begun)
	d.Queue(t, q)
	claimed := d.claim(t, begun)[0]
	if err := d.Store.Retry(t.Context(), claimed, q.ExpireTime.Add(time.Minute), "busy", nil); err != nil {
		t.Fatal(err)
	}
	if len(d.claim(t, q.ExpireTime)) != 0 {
		t.Error("an expired mail is claimed")
	}
	early, err := d.Store.Clean(t.Context(), q.ExpireTime.Add(-time.Second), begun, begun)
	late, err2 := d.Store.Clean(t.Context(), q.ExpireTime, begun, begun)
	if err != nil || err2 != nil || len(early) != 0 || !slices.Equal(late, []mail.Kind{mail.PasswordChanged}) {
		t.Errorf("expired %v, then %v; %v, %v", early, late, err, err2)
	}
	d.standing(t, 0, 0)
}

func fiveAnHour(t *testing.T, d Database) {
	for i := range 2 * mail.Most {
		d.Queue(t, fresh("ada", begun.Add(time.Duration(i)*time.Second)))
	}
	d.standing(t, mail.Most, 0)
	d.Queue(t, fresh("eve", begun))
	d.standing(t, mail.Most+1, 0)
	if _, err := d.Store.Clean(t.Context(), begun, begun, begun.Add(-time.Second)); err != nil { // forgets no count too early
		t.Fatal(err)
	}
	d.Queue(t, fresh("ada", begun.Add(mail.Window-time.Second)))
	d.standing(t, mail.Most+1, 0)
	d.Queue(t, fresh("ada", begun.Add(mail.Window)))
	d.standing(t, mail.Most+2, 0) // the first one is an hour old
	d.Queue(t, fresh("ada", begun.Add(mail.Window)))
	d.standing(t, mail.Most+2, 0) // and that was one only
}

// Whoever asks for mails to an address leaves room for those that tell its owner what happened.
func strangersLeaveRoom(t *testing.T, d Database) {
	asked := func(k mail.Kind) *mail.Queued {
		q := fresh("ada", begun)
		q.Kind = k
		return q
	}
	for range mail.Most {
		for _, k := range []mail.Kind{mail.SignUp, mail.SignUpTaken, mail.ResetPassword, mail.VerifyEmail, mail.Nobody} {
			d.Queue(t, asked(k))
		}
	}
	d.standing(t, mail.MostAsked, 0)
	for range mail.Most {
		d.Queue(t, asked(mail.PasswordReset))
	}
	d.standing(t, mail.Most, 0)
}

func fiveAtOnce(t *testing.T, d Database) {
	var wg sync.WaitGroup
	for range 3 * mail.Most {
		wg.Go(func() { d.Queue(t, fresh("ada", begun)) })
	}
	wg.Wait()
	d.standing(t, mail.Most, 0)
}

func reseals(t *testing.T, d Database) {
	for range 3 {
		d.Queue(t, fresh(uuid.NewString(), begun))
	}
	broken := errors.New("broken")
	n := 0
	_, err := d.Store.Reseal(t.Context(), func(string, []byte) ([]byte, error) {
		if n++; n == 3 {
			return nil, broken
		}
		return []byte("other"), nil
	})
	if !errors.Is(err, broken) {
		t.Errorf("Reseal = %v", err)
	}
	n = 0
	changed, err := d.Store.Reseal(t.Context(), func(_ string, sealed []byte) ([]byte, error) {
		if string(sealed) != "sealed" {
			t.Error("half of it was changed before")
		}
		if n++; n == 1 {
			return nil, nil
		}
		return []byte("other"), nil
	})
	if err != nil || changed != 2 {
		t.Errorf("Reseal = %d, %v", changed, err)
	}
	counts := map[string]int{}
	for _, c := range d.claim(t, begun) {
		counts[string(c.Sealed)]++
	}
	if counts["sealed"] != 1 || counts["other"] != 2 {
		t.Errorf("sealed %v", counts)
	}
}
