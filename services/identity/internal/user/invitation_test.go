package user_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// inviter is Auth, as far as it mails invitations.
type inviter struct {
	mutex  sync.Mutex
	none   error // why nobody can be invited
	before error // fails without having mailed
	after  error // fails although it has mailed
	mailed []user.Invitation
}

func (i *inviter) CanInvite(context.Context) error {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.none
}

func (i *inviter) Invite(_ context.Context, in user.Invitation) error {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.before != nil {
		return i.before
	}
	if !slices.Contains(i.mailed, in) {
		i.mailed = append(i.mailed, in)
	}
	return i.after
}

func (i *inviter) fail(before, after error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.before, i.after = before, after
}

// wantMailed fails unless Auth was asked for exactly these revisions of a user's invitation.
func (i *inviter) wantMailed(t *testing.T, u user.User, revisions ...int64) {
	t.Helper()
	i.mutex.Lock()
	defer i.mutex.Unlock()
	var got []int64
	for _, in := range i.mailed {
		if in.UserID != u.ID || in.Email != u.Email || in.DisplayName != u.DisplayName || in.Locale != u.Locale {
			t.Errorf("mailed %+v of %+v", in, u)
		}
		got = append(got, in.Revision)
	}
	if !slices.Equal(got, revisions) {
		t.Errorf("mailed revisions %v, want %v", got, revisions)
	}
}

// invited invites somebody to an organization.
func (w world) invited(t *testing.T) user.User {
	t.Helper()
	u, token, err := w.Invite(drafted(t), user.New{OrganizationID: w.created(t).OrganizationID, Email: "Grace@Example.com", DisplayName: "Grace", Locale: "de-CH"})
	check.NoError(t, err)
	if u.State != user.Invited || u.Email != "grace@example.com" || u.Locale != "de-CH" || token == "" {
		t.Fatalf("invited %+v with token %q", u, token)
	}
	return u
}

// Whoever dies after the invitation is stored, it is mailed once, by the reconciler.
func TestAnInvitationIsMailedWhateverDies(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	for name, c := range map[string]struct{ before, after error }{"at once": {}, "before Auth knows": {before: down}, "after Auth knows": {after: down}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.auth.fail(c.before, c.after)
			u := w.invited(t)
			if n, err := w.CompleteInvitations(t.Context()); n != 0 || err != nil {
				t.Errorf("at once %d were completed, %v", n, err)
			}
			w.clock.add(claimPeriod)
			failing, want := c.before != nil || c.after != nil, 0
			if n, err := w.CompleteInvitations(t.Context()); n != 0 || (err != nil) != failing {
				t.Errorf("while Auth fails %d were completed, %v", n, err)
			}
			w.auth.fail(nil, nil)
			w.clock.add(claimPeriod)
			if failing {
				want = 1
			}
			for range 2 {
				if n, err := w.CompleteInvitations(t.Context()); n != want || err != nil {
					t.Errorf("%d were completed, %v; want %d", n, err, want)
				}
				want = 0
			}
			w.auth.wantMailed(t, u, 1)
		})
	}
}

func TestAnInvitationIsResentAcceptedAndCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.invited(t)
	scope := user.In(u.OrganizationID)
	again, err := w.ResendInvitation(drafted(t), scope, u.ID)
	if err != nil || again != u {
		t.Fatalf("resent %+v, %v", again, err)
	}
	w.auth.wantMailed(t, u, 1, 2)
	_, err = w.ResendInvitation(drafted(t), user.In(uuid.NewString()), u.ID) // R52
	wantReason(t, err, apierr.NotFound, "USER_NOT_FOUND")
	_, err = w.CancelInvitation(drafted(t), user.In(uuid.NewString()), u.ID)
	wantReason(t, err, apierr.NotFound, "USER_NOT_FOUND")

	active, _, err := w.Activate(drafted(t), u.ID)
	if err != nil || active.State != user.Active {
		t.Fatalf("activated %+v, %v", active, err)
	}
	_, err = w.ResendInvitation(drafted(t), scope, u.ID)
	wantReason(t, err, apierr.FailedPrecondition, "USER_NOT_INVITED")
	_, err = w.CancelInvitation(drafted(t), scope, u.ID)
	wantReason(t, err, apierr.FailedPrecondition, "USER_NOT_INVITED")
	if got, err := w.Get(t.Context(), scope, u.ID); err != nil || got != active {
		t.Errorf("the user is %+v, %v", got, err)
	}
}

// An Auth of the version before registers whoever accepts an invitation: it knows no other way.
func TestWhoIsInvitedMayBeRegistered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.invited(t)
	for range 2 {
		got, token, err := w.Register(drafted(t), user.New{ID: u.ID, Email: u.Email, DisplayName: u.DisplayName, EmailVerified: true})
		if err != nil || got.State != user.Active || !got.EmailVerified || got.OrganizationID != u.OrganizationID || token == "" {
			t.Fatalf("registered %+v with token %q, %v", got, token, err)
		}
	}
	other := w.invited(t)
	_, _, err := w.Register(drafted(t), user.New{ID: other.ID, Email: "other@example.com"})
	wantReason(t, err, apierr.AlreadyExists, "USER_ID_TAKEN")
}

// A cancellation is a deletion: the login in Auth, or the code that waits for one, goes with it,
// and an acceptance that comes later brings nobody back.
func TestACancelledInvitationIsDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.invited(t)
	w.logins.fail(errors.New("connection refused"), "")
	_, err := w.CancelInvitation(drafted(t), user.In(u.OrganizationID), u.ID)
	wantReason(t, err, apierr.Unavailable, "AUTH_UNAVAILABLE")
	w.wantGone(t, u)
	_, _, err = w.Activate(drafted(t), u.ID)
	wantReason(t, err, apierr.NotFound, "USER_NOT_FOUND")
	w.logins.fail(nil, "")
	_, err = w.CancelInvitation(drafted(t), user.In(u.OrganizationID), u.ID)
	check.NoError(t, err)
	if w.logins.count(u.ID) != 1 {
		t.Errorf("the login was removed %d times", w.logins.count(u.ID))
	}
	_, _, err = w.Activate(drafted(t), u.ID)
	wantReason(t, err, apierr.NotFound, "USER_NOT_FOUND")
}

// R89: Authz knows that somebody does not count before that user is there, and is told until it has
// heard that this lasts, and that the user has accepted. Auth is told of neither.
func TestWhoIsInvitedCountsOnceAccepted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.created(t).OrganizationID
	draft := user.New{OrganizationID: o, Email: "grace@example.com"}
	w.departures.err = apierr.AuthzUnavailable()
	_, _, err := w.Invite(drafted(t), draft)
	wantReason(t, err, apierr.Unavailable, "AUTHZ_UNAVAILABLE")
	w.departures.err = nil
	var reserved string
	w.departures.called = func(u user.User, alone bool) error {
		if _, err := w.Get(t.Context(), user.Everywhere(), u.ID); !errors.Is(err, user.NotFound()) || alone {
			t.Errorf("while Authz is asked the user answers %v, alone: %t", err, alone)
		}
		reserved = u.ID
		return nil
	}
	u, _, err := w.Invite(drafted(t), draft) // nothing was stored before
	check.NoError(t, err)
	if u.ID != reserved || !slices.Equal(w.departures.reserved, []int64{u.Revision}) {
		t.Errorf("reserved was %s at %v, invited %+v", reserved, w.departures.reserved, u)
	}
	told := func(want ...user.Standing) {
		t.Helper()
		w.departures.err = apierr.AuthzUnavailable()
		w.clock.add(claimPeriod)
		if n, err := w.CompleteStandings(t.Context()); n != 0 || err == nil {
			t.Errorf("while Authz does not answer %d are told, %v", n, err)
		}
		w.departures.err = nil
		w.clock.add(claimPeriod)
		for _, left := range []int{1, 0} {
			if n, err := w.CompleteStandings(t.Context()); n != left || err != nil {
				t.Errorf("told %d, %v; want %d", n, err, left)
			}
		}
		if len(w.logins.told) > 0 || !slices.Equal(w.departures.settled, want) {
			t.Errorf("Auth was told %+v, Authz %+v; want %+v", w.logins.told, w.departures.settled, want)
		}
	}
	invited := user.Standing{UserID: u.ID, Suspended: true, Revision: u.Revision, Invitation: true}
	told(invited)
	active, _, err := w.Activate(drafted(t), u.ID)
	check.NoError(t, err)
	told(invited, user.Standing{UserID: u.ID, Revision: active.Revision, Invitation: true})
}

// R89: who would be missed in a role is not cancelled either.
func TestACancellationAsksAuthz(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.invited(t)
	w.departures.err = apierr.New(apierr.FailedPrecondition, "LAST_OWNER", "make another user an owner first")
	_, err := w.CancelInvitation(drafted(t), user.In(u.OrganizationID), u.ID)
	wantReason(t, err, apierr.FailedPrecondition, "LAST_OWNER")
	if got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID); err != nil || got != u {
		t.Errorf("the user is %+v, %v", got, err)
	}
}

// Where nobody can be invited, nothing is stored, recorded or sent again.
func TestNobodyIsInvitedWithoutMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.invited(t)
	before := len(w.database.Events(t))
	w.auth.none = apierr.New(apierr.FailedPrecondition, "MAIL_NOT_CONFIGURED", "no mail")
	_, _, err := w.Invite(drafted(t), user.New{OrganizationID: u.OrganizationID, Email: "b@example.com"})
	wantReason(t, err, apierr.FailedPrecondition, "MAIL_NOT_CONFIGURED")
	_, err = w.ResendInvitation(drafted(t), user.In(u.OrganizationID), u.ID)
	wantReason(t, err, apierr.FailedPrecondition, "MAIL_NOT_CONFIGURED")
	w.auth.none = nil
	_, _, err = w.Invite(drafted(t), user.New{OrganizationID: u.OrganizationID, Email: "b@example.com", Locale: "de_CH"})
	wantReason(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT")
	_, _, err = w.Invite(drafted(t), user.New{OrganizationID: u.OrganizationID, Email: u.Email})
	wantReason(t, err, apierr.AlreadyExists, "EMAIL_TAKEN")
	all, _, err := w.List(t.Context(), user.In(u.OrganizationID), resource.Query{})
	if err != nil || len(all) != 2 || len(w.database.Events(t)) != before {
		t.Errorf("there are %d users and %d new events, %v", len(all), len(w.database.Events(t))-before, err)
	}
	w.auth.wantMailed(t, u, 1)
}
