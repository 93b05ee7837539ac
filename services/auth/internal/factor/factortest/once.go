package factortest

import (
	"errors"
	"testing"

	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/factor"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

func stepOnce(t *testing.T, d Database) {
	user, _ := d.Login(t)
	revision := enrol(t, d, user, 0)
	use := func(step int64) error { return d.Store.UseStep(t.Context(), user, revision, step) }
	check.OneOf(t, 16, factor.ErrNotFound, func(int) error { return use(9) })
	wantNotFound(t, "once more", use(9))
	wantNotFound(t, "one before", use(8))
	if err := use(10); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func codeOnce(t *testing.T, d Database) {
	user, _ := d.Login(t)
	revision := enrol(t, d, user, 0)
	before := len(d.Recorded(t))
	use := func(h factor.CodeHash) error {
		return d.Store.UseCode(t.Context(), user, revision, h, nil, request(user))
	}
	check.OneOf(t, 16, factor.ErrNotFound, func(int) error { return use(hash(1)) })
	wantNotFound(t, "a code that there is not", use(hash(9)))
	other, _ := d.Login(t)
	wantNotFound(t, "of somebody else", d.Store.UseCode(t.Context(), other, 0, hash(2), nil, request(other)))
	if p := person(t, d, user); p.Codes != 1 || len(d.Recorded(t)) != before+2 { // the use, and the other login
		t.Errorf("%+v after %d events", p, len(d.Recorded(t))-before)
	}
}

// noWayPast is R13 where no code can forget it: the statement that begins a session looks.
func noWayPast(t *testing.T, d Database) {
	user, _ := d.Login(t)
	start := func(shown int64) error { return d.Sessions.Start(t.Context(), sessionOf(user, shown), request(user)) }
	if err := start(0); err != nil {
		t.Fatal(err)
	}
	first := enrol(t, d, user, 0)
	for _, shown := range []int64{0, first + 1} {
		if err := start(shown); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("with factor %d shown, of %d: %v", shown, first, err)
		}
	}
	if err := start(first); err != nil {
		t.Errorf("with the factor: %v", err)
	}
	if err := d.Store.Remove(t.Context(), user, first, nil, request(user)); err != nil {
		t.Fatal(err)
	}
	if err := start(first); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("with a factor that was removed: %v", err)
	}
	if err := start(0); err != nil {
		t.Errorf("without one: %v", err)
	}
}
