package user_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// claimPeriod is longer than any claim on a deletion lasts.
const claimPeriod = time.Minute

func TestDelete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	wantReason(t, w.remove(drafted(t), u, "stale"), apierr.Aborted, "ETAG_MISMATCH")
	if got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID); err != nil || got != u || w.logins.count(u.ID) != 0 {
		t.Fatalf("a refused deletion left %+v (%v), %d logins removed", got, err, w.logins.count(u.ID))
	}
	check.NoError(t, w.remove(drafted(t), u, u.ETag()))
	w.wantRemoved(t, u)
	if w.logins.count(u.ID) != 1 {
		t.Fatalf("the login was removed %d times, want 1", w.logins.count(u.ID))
	}
	wantReason(t, w.remove(drafted(t), u, ""), apierr.NotFound, "USER_NOT_FOUND")
}

// The order of the steps: when the login goes, the user can no longer be read, but the intent is still there.
func TestDeleteHidesTheUserBeforeTheLoginGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	w.logins.called = func() {
		_, err := w.Get(context.Background(), user.In(u.OrganizationID), u.ID)
		if !errors.Is(err, user.NotFound()) {
			t.Errorf("while the login is removed, the user answers %v", err)
		}
		if _, err := w.organizations.Get(context.Background(), u.OrganizationID); err != nil {
			t.Errorf("the intent is not durable: %v", err)
		}
	}
	check.NoError(t, w.remove(drafted(t), u, ""))
}

func TestDeleteWhileAuthIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	w.logins.fail(errors.New("connection refused"), "")
	wantReason(t, w.remove(drafted(t), u, ""), apierr.Unavailable, "AUTH_UNAVAILABLE")
	w.wantGone(t, u)
	_, _, err := w.Register(drafted(t), user.New{ID: u.ID, Email: u.Email})
	wantReason(t, err, apierr.AlreadyExists, "USER_ID_TAKEN")

	t.Run("nobody else works on it at once", func(t *testing.T) {
		if n, err := w.CompleteDeletions(t.Context()); n != 0 || err != nil {
			t.Fatalf("completed %d, %v", n, err)
		}
	})
	t.Run("the reconciler tries and waits", func(t *testing.T) {
		w.clock.add(claimPeriod)
		if n, err := w.CompleteDeletions(t.Context()); n != 0 || !errors.Is(err, apierr.New(apierr.Unavailable, "AUTH_UNAVAILABLE", "")) {
			t.Fatalf("completed %d, %v", n, err)
		}
	})
	w.logins.fail(nil, "")
	t.Run("the reconciler completes it when Auth is back", func(t *testing.T) {
		w.clock.add(claimPeriod)
		if n, err := w.CompleteDeletions(t.Context()); n != 1 || err != nil {
			t.Fatalf("completed %d, %v", n, err)
		}
		w.wantRemoved(t, u)
	})
}

// Auth may still be asking for the user when another request has deleted it: the sign-up must not leave a user without a login behind.
func TestCreateAfterDeleteIsRefusedForAnHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	check.NoError(t, w.remove(drafted(t), u, ""))
	for range 3 {
		_, _, err := w.Register(drafted(t), user.New{ID: u.ID, Email: u.Email})
		wantReason(t, err, apierr.AlreadyExists, "USER_ID_TAKEN")
		w.clock.add(25 * time.Minute)
		check.NoError(t, w.ForgetDeleted(t.Context()))
	}
	_, _, err := w.Register(drafted(t), user.New{ID: u.ID, Email: u.Email})
	check.NoError(t, err)
}

func TestDeleteAgainCompletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	w.logins.fail(errors.New("connection refused"), "")
	wantReason(t, w.remove(drafted(t), u, u.ETag()), apierr.Unavailable, "AUTH_UNAVAILABLE")
	w.logins.fail(nil, "")
	check.NoError(t, w.remove(drafted(t), u, u.ETag()))
	w.wantRemoved(t, u)
}

// A process that dies between any two steps leaves what the next one completes.
func TestDeleteAfterACrash(t *testing.T) {
	t.Parallel()
	for name, crash := range map[string]func(t *testing.T, w world, u user.User){
		"before the login is removed": func(t *testing.T, w world, u user.User) {
			w.begin(t, u)
		},
		"after the login is removed": func(t *testing.T, w world, u user.User) {
			w.begin(t, u)
			check.NoError(t, w.logins.RemoveLogin(t.Context(), u.ID))
		},
		"the client leaves while the login is removed": func(t *testing.T, w world, u user.User) {
			ctx, cancel := context.WithCancel(drafted(t))
			w.logins.called = cancel
			err := w.remove(ctx, u, "")
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v, want canceled", err)
			}
			w.logins.called = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			u, bystander := w.created(t), w.created(t)
			crash(t, w, u)
			w.wantGone(t, u)
			w.clock.add(claimPeriod)
			if n, err := w.CompleteDeletions(t.Context()); n != 1 || err != nil {
				t.Fatalf("completed %d, %v", n, err)
			}
			w.wantRemoved(t, u)
			if w.logins.count(u.ID) == 0 || w.logins.count(bystander.ID) != 0 {
				t.Fatalf("logins removed: %v", w.logins.removed)
			}
			_, err := w.Get(t.Context(), user.In(bystander.OrganizationID), bystander.ID)
			check.NoError(t, err)
		})
	}
}

// One user whose login cannot be removed does not hold up the others for ever.
func TestCompleteDeletionsGoesPastAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	stuck := w.created(t)
	w.logins.fail(errors.New("no"), stuck.ID)
	users := []user.User{stuck, w.created(t), w.created(t)}
	for _, u := range users {
		w.begin(t, u)
		w.clock.add(time.Millisecond)
	}
	if n, err := w.CompleteDeletions(t.Context()); n != 0 || err == nil {
		t.Fatalf("first round: completed %d, %v", n, err)
	}
	if n, err := w.CompleteDeletions(t.Context()); n != 2 || err != nil {
		t.Fatalf("second round: completed %d, %v", n, err)
	}
	w.wantRemoved(t, users[1])
	w.wantRemoved(t, users[2])
}

func TestReconcilersOfTwoInstances(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var users []user.User
	for range 6 {
		u := w.created(t)
		users = append(users, u)
		w.begin(t, u)
	}
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			if _, err := w.CompleteDeletions(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, u := range users {
		w.wantRemoved(t, u)
		if w.logins.count(u.ID) != 1 {
			t.Errorf("the login of %s was removed %d times, want 1", u.ID, w.logins.count(u.ID))
		}
	}
}

// R89: whom Authz keeps, stays; it is asked once the tag is right, and not again for a deletion
// that has begun.
func TestDeleteAsksAuthz(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	last := apierr.New(apierr.FailedPrecondition, "LAST_ADMINISTRATOR", "make another user an administrator first")
	w.departures.err = last
	wantReason(t, w.remove(drafted(t), u, "stale"), apierr.Aborted, "ETAG_MISMATCH")
	if len(w.departures.asked) != 0 {
		t.Fatal("Authz was asked about a deletion that is refused anyway")
	}
	wantReason(t, w.remove(drafted(t), u, ""), apierr.FailedPrecondition, "LAST_ADMINISTRATOR")
	if got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID); err != nil || got != u || w.logins.count(u.ID) != 0 {
		t.Fatalf("a refused deletion left %+v (%v), %d logins removed", got, err, w.logins.count(u.ID))
	}
	w.departures.err = nil
	w.logins.fail(errors.New("connection refused"), "")
	wantReason(t, w.remove(drafted(t), u, ""), apierr.Unavailable, "AUTH_UNAVAILABLE")
	if ends, asked := w.departures.asked[u.ID]; !asked || !ends {
		t.Fatalf("asked %v", w.departures.asked)
	}
	w.departures.err = last // it has begun: there is no way back
	w.logins.fail(nil, "")
	check.NoError(t, w.remove(drafted(t), u, ""))
	w.wantRemoved(t, u)
}
