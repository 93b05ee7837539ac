package user_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/fact"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// While Authz does not answer, deletions keep neither connections nor rows: as many as the pool has
// connections leave the rest of Identity alone.
func TestDeletionsThatWaitForAuthzHoldNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	bystander := w.created(t)
	waiting, answer := make(chan user.User), make(chan struct{})
	w.departures.called = func(u user.User, _ bool) error {
		waiting <- u
		<-answer
		return nil
	}
	var deletions sync.WaitGroup
	for range w.pool.Config().MaxConns {
		u := w.created(t)
		deletions.Go(func() {
			if err := w.remove(drafted(t), u, ""); err != nil {
				t.Error(err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(drafted(t), 10*time.Second) // of answers that need no wait
	defer cancel()
	for range w.pool.Config().MaxConns {
		leaving := <-waiting
		if _, err := w.stores.Update(ctx, user.In(leaving.OrganizationID), leaving.ID, func(u user.User) (user.User, error) { return u, nil }); err != nil {
			t.Errorf("the user who may be deleted is locked: %v", err)
		}
	}
	if _, err := w.Get(ctx, user.In(bystander.OrganizationID), bystander.ID); err != nil {
		t.Errorf("another user cannot be read: %v", err)
	}
	close(answer)
	deletions.Wait()
}

// R89: what Authz was asked still holds when the deletion begins. Somebody who joined the personal
// organization meanwhile keeps it, so it is asked again whether an owner is left; a change of the
// user is a changed tag.
func TestDeleteChecksAgainUnderTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	var asked []bool
	w.departures.called = func(u user.User, ends bool) error {
		asked = append(asked, ends)
		if !ends {
			return apierr.New(apierr.FailedPrecondition, "LAST_OWNER", "make another user its owner first")
		}
		_, _, err := w.Register(drafted(t), user.New{ID: uuid.NewString(), OrganizationID: u.OrganizationID, Email: "guest@example.com"})
		return err
	}
	wantReason(t, w.remove(drafted(t), u, ""), apierr.FailedPrecondition, "LAST_OWNER")
	if !slices.Equal(asked, []bool{true, false}) {
		t.Errorf("asked whether it ends: %v", asked)
	}
	got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID)
	check.NoError(t, err)

	w.departures.called = func(user.User, bool) error {
		_, err := w.stores.Update(drafted(t), user.In(u.OrganizationID), u.ID, func(u user.User) (user.User, error) {
			u.Revision++
			return u, nil
		})
		return err
	}
	wantReason(t, w.remove(drafted(t), u, got.ETag()), apierr.Aborted, "ETAG_MISMATCH")
	_, err = w.Get(t.Context(), user.In(u.OrganizationID), u.ID)
	check.NoError(t, err)
}

// R89: a reservation whose deletion never begins errs to the safe side: the user is there and
// counts no more, so the other one stays.
func TestAReservationWithoutItsDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.created(t), w.created(t)
	administrators := map[string]bool{first.ID: true, second.ID: true} // who counts, as Authz sees it
	w.departures.called = func(u user.User, _ bool) error {
		if administrators[u.ID] && len(administrators) == 1 {
			return apierr.New(apierr.FailedPrecondition, "LAST_ADMINISTRATOR", "make another user an administrator first")
		}
		delete(administrators, u.ID)
		return nil
	}
	broken := user.NewService(user.Params{
		Store: w.stores.Store, Deletions: failing{w.stores.DeletionStore}, Departures: w.departures, Logins: w.logins, Now: w.clock.Now, NewID: uuid.NewString,
	})
	if _, err := broken.Delete(drafted(t), user.In(first.OrganizationID), first.ID, ""); !errors.Is(err, errBroken) {
		t.Fatalf("got %v", err)
	}
	_, err := w.Get(t.Context(), user.In(first.OrganizationID), first.ID)
	check.NoError(t, err)
	wantReason(t, w.remove(drafted(t), second, ""), apierr.FailedPrecondition, "LAST_ADMINISTRATOR")
	_, err = w.Get(t.Context(), user.In(second.OrganizationID), second.ID)
	check.NoError(t, err)
	check.NoError(t, w.remove(drafted(t), first, "")) // again, and through
	w.wantRemoved(t, first)
}

var errBroken = errors.New("the database is gone")

// failing is a store whose database goes when a deletion would begin.
type failing struct{ user.DeletionStore }

func (failing) BeginDelete(context.Context, user.Scope, string, time.Time, func(user.User, bool) (fact.Fact, error)) (user.Deletion, string, error) {
	return user.Deletion{}, "", errBroken
}
