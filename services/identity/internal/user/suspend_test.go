package user_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

func (d *departures) ReserveSuspension(ctx context.Context, u user.User, alone bool, revision int64, by event.Event) error {
	if err := d.Reserve(ctx, u, alone, by); err != nil {
		return err
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.reserved = append(d.reserved, revision)
	return nil
}

func (d *departures) Settle(_ context.Context, told user.Standing) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.err != nil {
		return d.err
	}
	d.settled = append(d.settled, told)
	return nil
}

func (l *logins) SetStanding(_ context.Context, told user.Standing) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.called != nil {
		l.called()
	}
	if l.err != nil {
		return l.err
	}
	l.told = append(l.told, told)
	return nil
}

// wantTold checks what Auth and Authz were told, in this order.
func (w world) wantTold(t *testing.T, want ...user.Standing) {
	t.Helper()
	if !slices.Equal(w.logins.told, want) || !slices.Equal(w.departures.settled, want) {
		t.Fatalf("Auth was told %+v, Authz %+v; want %+v", w.logins.told, w.departures.settled, want)
	}
}

func (w world) wantState(t *testing.T, u user.User, want user.State) {
	t.Helper()
	if got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID); err != nil || got.State != want {
		t.Fatalf("the user is %+v, %v; want %s", got, err, want)
	}
}

// Who is suspended is told to Auth before the answer, with a revision that only grows; so is the
// return. Repeating either changes nothing.
func TestSuspendAndRestore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	scope := user.In(u.OrganizationID)
	w.logins.called = func() {
		if got, err := w.Get(context.Background(), scope, u.ID); err != nil || got.State == u.State {
			t.Errorf("while Auth is told, the user is %+v, %v", got, err)
		}
		u.State = ""
	}
	suspended, err := w.Suspend(drafted(t), scope, u.ID)
	check.NoError(t, err)
	if suspended.State != user.Suspended || suspended.Revision != u.Revision+1 || !suspended.UpdateTime.After(u.UpdateTime) {
		t.Fatalf("got %+v", suspended)
	}
	w.logins.called = nil
	out := user.Standing{UserID: u.ID, Suspended: true, Revision: suspended.Revision}
	w.wantTold(t, out)
	again, err := w.Suspend(drafted(t), scope, u.ID)
	check.NoError(t, err)
	restored, err := w.Restore(drafted(t), scope, u.ID)
	check.NoError(t, err)
	if again != suspended || restored.State != user.Active || restored.Revision != suspended.Revision+1 {
		t.Fatalf("got %+v and %+v", again, restored)
	}
	_, err = w.Restore(drafted(t), scope, u.ID)
	check.NoError(t, err)
	w.wantTold(t, out, user.Standing{UserID: u.ID, Revision: restored.Revision})
	if !slices.Equal(w.departures.reserved, []int64{suspended.Revision}) || !w.departures.asked[u.ID] {
		t.Errorf("reserved were %v, alone in its organization: %t", w.departures.reserved, w.departures.asked[u.ID])
	}
	if n, err := w.CompleteStandings(t.Context()); n != 0 || err != nil {
		t.Errorf("told again: %d, %v", n, err)
	}
	if n := len(w.database.Events(t)); n != 4 { // two of the creation
		t.Errorf("%d events, want one of each change", n)
	}
}

// What was decided and not told yet is told by repeating it, or by the reconciler; of a suspension
// and a return the later one is told alone.
func TestSuspendWhileAuthIsDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, other := w.created(t), w.created(t)
	scope := user.In(u.OrganizationID)
	w.logins.fail(errors.New("connection refused"), "")
	for _, of := range []user.User{u, other} {
		_, err := w.Suspend(drafted(t), user.In(of.OrganizationID), of.ID)
		wantReason(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
		w.wantState(t, of, user.Suspended)
	}
	_, err := w.Suspend(drafted(t), scope, u.ID)
	wantReason(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	if n, err := w.CompleteStandings(t.Context()); n != 0 || err != nil {
		t.Fatalf("somebody else works on it at once: %d, %v", n, err)
	}
	w.clock.add(claimPeriod)
	if n, err := w.CompleteStandings(t.Context()); n != 0 || !errors.Is(err, apierr.New(apierr.Unavailable, "AUTH_UNAVAILABLE", "")) {
		t.Fatalf("told %d, %v", n, err)
	}
	_, err = w.Restore(drafted(t), scope, u.ID)
	wantReason(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	w.logins.fail(nil, "")
	_, err = w.Suspend(drafted(t), user.In(other.OrganizationID), other.ID)
	check.NoError(t, err)
	w.clock.add(claimPeriod)
	if n, err := w.CompleteStandings(t.Context()); n != 1 || err != nil {
		t.Fatalf("told %d, %v", n, err)
	}
	w.wantTold(t, user.Standing{UserID: other.ID, Suspended: true, Revision: 2}, user.Standing{UserID: u.ID, Revision: 3})
}

// Authz is told after Auth, and again until it has heard.
func TestSuspendWhileAuthzDoesNotHear(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	w.logins.called = func() { w.departures.err = apierr.AuthzUnavailable() }
	_, err := w.Suspend(drafted(t), user.In(u.OrganizationID), u.ID)
	wantReason(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	w.logins.called, w.departures.err = nil, nil
	w.clock.add(claimPeriod)
	if n, err := w.CompleteStandings(t.Context()); n != 1 || err != nil {
		t.Fatalf("told %d, %v", n, err)
	}
	if told := (user.Standing{UserID: u.ID, Suspended: true, Revision: 2}); !slices.Equal(w.departures.settled, []user.Standing{told}) {
		t.Errorf("Authz was told %+v", w.departures.settled)
	}
}

// Who cannot be suspended or restored stays, and nobody is told (R89).
func TestRefusedSuspensions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, invited, leaving := w.created(t), w.created(t), w.created(t)
	_, err := w.pool.Exec(t.Context(), `update identity.users set standing = 'invited' where id = $1`, invited.ID)
	check.NoError(t, err)
	w.begin(t, leaving)
	for name, change := range map[string]func(context.Context, user.Scope, string) (user.User, error){"suspend": w.Suspend, "restore": w.Restore} {
		for _, c := range []struct {
			scope  user.Scope
			id     string
			kind   apierr.Kind
			reason string
		}{
			{user.In(invited.OrganizationID), invited.ID, apierr.FailedPrecondition, "USER_INVITED"},
			{user.In(leaving.OrganizationID), leaving.ID, apierr.NotFound, "USER_NOT_FOUND"},
			{user.In(u.OrganizationID), uuid.NewString(), apierr.NotFound, "USER_NOT_FOUND"},
			{user.In(invited.OrganizationID), u.ID, apierr.NotFound, "USER_NOT_FOUND"},
			{user.Scope{}, u.ID, apierr.NotFound, "USER_NOT_FOUND"},
		} {
			t.Log(name)
			_, err := change(drafted(t), c.scope, c.id)
			wantReason(t, err, c.kind, c.reason)
		}
	}
	w.departures.err = apierr.New(apierr.FailedPrecondition, "LAST_ADMINISTRATOR", "")
	_, err = w.Suspend(drafted(t), user.In(u.OrganizationID), u.ID)
	wantReason(t, err, apierr.FailedPrecondition, "LAST_ADMINISTRATOR")
	w.wantState(t, u, user.Active)
	w.wantState(t, invited, user.Invited)
	w.wantTold(t)
}

// R89: what Authz was asked still holds when the suspension begins. Who joined the personal
// organization meanwhile needs its owner; a change of the user makes another revision.
func TestSuspendChecksAgainUnderTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	scope := user.In(u.OrganizationID)
	w.departures.called = func(u user.User, alone bool) error {
		if !alone {
			return apierr.New(apierr.FailedPrecondition, "LAST_OWNER", "")
		}
		_, _, err := w.Register(drafted(t), user.New{ID: uuid.NewString(), OrganizationID: u.OrganizationID, Email: "guest@example.com"})
		return err
	}
	_, err := w.Suspend(drafted(t), scope, u.ID)
	wantReason(t, err, apierr.FailedPrecondition, "LAST_OWNER")
	w.wantState(t, u, user.Active)
	w.departures.called, w.departures.reserved = func(user.User, bool) error {
		w.departures.called = nil
		_, err := w.stores.Update(drafted(t), scope, u.ID, func(u user.User) (user.User, error) {
			u.Revision++
			return u, nil
		})
		return err
	}, nil
	suspended, err := w.Suspend(drafted(t), scope, u.ID)
	check.NoError(t, err)
	if want := []int64{2, 3}; suspended.Revision != 3 || !slices.Equal(w.departures.reserved, want) {
		t.Errorf("revision %d, reserved %v", suspended.Revision, w.departures.reserved)
	}
	w.wantTold(t, user.Standing{UserID: u.ID, Suspended: true, Revision: 3})
}

// Who is suspended is there, is changed and deleted as before, and is not told of any more when
// gone.
func TestSuspendedUsersAreThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	scope := user.In(u.OrganizationID)
	w.logins.fail(errors.New("connection refused"), "")
	_, err := w.Suspend(drafted(t), scope, u.ID)
	wantReason(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	name := "Countess"
	changed, err := w.Update(drafted(t), scope, u.ID, "", user.Changes{DisplayName: &name})
	if err != nil || changed.State != user.Suspended {
		t.Fatalf("got %+v, %v", changed, err)
	}
	page, _, err := w.List(t.Context(), scope, resource.Query{})
	if err != nil || len(page) != 1 || page[0] != changed {
		t.Fatalf("listed %+v, %v", page, err)
	}
	again, _, err := w.Register(drafted(t), user.New{ID: u.ID, Email: u.Email})
	if err != nil || again != changed {
		t.Fatalf("registered again: %+v, %v", again, err)
	}
	wantReason(t, w.remove(drafted(t), u, ""), apierr.Unavailable, "AUTH_UNAVAILABLE")
	w.logins.fail(nil, "")
	w.clock.add(claimPeriod)
	if n, err := w.CompleteStandings(t.Context()); n != 0 || err != nil {
		t.Errorf("the standing of a user who is being deleted is told: %d, %v", n, err)
	}
	if n, err := w.CompleteDeletions(t.Context()); n != 1 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	w.wantRemoved(t, u)
	w.wantTold(t)
}
