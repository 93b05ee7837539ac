package logintest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// standing tells a store of a user's standing.
func standing(t *testing.T, s Stores, userID string, revision int64, suspended bool) {
	t.Helper()
	n := login.Standing{UserID: userID, Revision: revision, Suspended: suspended, RevokedUntil: epoch.Add(time.Hour)}
	if err := s.Logins.SetStanding(context.WithoutCancel(t.Context()), n, request(userID)); err != nil {
		t.Fatal(err)
	}
}

func wantState(t *testing.T, s Stores, userID string, want login.State) {
	t.Helper()
	if got, err := s.Logins.ByUser(t.Context(), userID); err != nil || got.State != want {
		t.Fatalf("the login is %q, %v; want %q", got.State, err, want)
	}
}

// suspend ends the sessions of a user and lets none begin until the restoration (R22); the highest
// revision counts, in whatever order they are told.
func suspend(t *testing.T, s Stores) {
	l, other := Reserved(t, s.Logins, "ada@example.com"), Reserved(t, s.Logins, "other@example.com")
	var sessions []session.Session
	for _, id := range []string{l.UserID, l.UserID, other.UserID} {
		activateLogin(t, s.Logins, id, uuid.NewString())
		sessions = append(sessions, sessionOf(id))
		if err := s.Sessions.Start(t.Context(), sessions[len(sessions)-1], request(id)); err != nil {
			t.Fatal(err)
		}
	}
	before := len(s.Recorded(t))
	standing(t, s, l.UserID, 3, true)
	standing(t, s, l.UserID, 3, true)
	standing(t, s, l.UserID, 2, false)         // late
	standing(t, s, uuid.NewString(), 9, true)  // without a login
	standing(t, s, uuid.NewString(), 9, false) // without a login
	wantState(t, s, l.UserID, login.Suspended)
	if n := len(s.Recorded(t)) - before; n != 1 {
		t.Errorf("%d events of one suspension (R67)", n)
	}
	if ended := revoked(t, s.Sessions); len(ended) != 2 || !ended[sessions[0].ID] || !ended[sessions[1].ID] {
		t.Fatalf("revoked = %v, want the two sessions of the suspended login", ended)
	}
	keep := func(session.Session) session.Decision { return session.Decision{} }
	if err := s.Sessions.Refresh(t.Context(), sessions[0].Family, keep); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a session of the suspended login: %v, want ErrNotFound", err)
	}
	if err := s.Sessions.Refresh(t.Context(), sessions[2].Family, keep); err != nil {
		t.Errorf("a session of another login: %v", err)
	}
	if err := s.Sessions.Start(t.Context(), sessionOf(l.UserID), request(l.UserID)); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("a session of a suspended login began: %v", err)
	}
	change := login.NewHash{UserID: l.UserID, Old: l.PasswordHash, Hash: "$new", Time: epoch, RevokedUntil: epoch.Add(time.Hour)}
	if err := s.Logins.ChangePassword(t.Context(), change, request(l.UserID)); !errors.Is(err, login.ErrNotFound) {
		t.Errorf("the password of a suspended login changed: %v", err)
	}
	standing(t, s, l.UserID, 4, false)
	standing(t, s, l.UserID, 3, true) // late
	wantState(t, s, l.UserID, login.Active)
	if err := s.Sessions.Start(t.Context(), sessionOf(l.UserID), request(l.UserID)); err != nil {
		t.Errorf("a session of a restored login: %v", err)
	}
	if err := s.Logins.SetStanding(t.Context(), login.Standing{UserID: l.UserID, Revision: 5, Suspended: true}, event.Event{}); err == nil {
		t.Error("suspended without an event (R68)")
	}
	wantState(t, s, l.UserID, login.Active)
	standing(t, s, l.UserID, 5, true)
	if err := s.Logins.Remove(t.Context(), l.UserID, epoch.Add(time.Hour), request(l.UserID)); err != nil {
		t.Fatal(err)
	}
	missing(t, s.Logins, "ada@example.com")
}

// suspendPending suspends a login that is not active yet: it stays pending, so that the sign-up
// ends, and nobody signs in with it afterwards.
func suspendPending(t *testing.T, s Stores) {
	for _, restored := range []bool{false, true} {
		l := Reserved(t, s.Logins, fmt.Sprintf("ada%t@example.com", restored))
		standing(t, s, l.UserID, 2, true)
		wantState(t, s, l.UserID, login.Pending)
		want := login.Suspended
		if restored {
			standing(t, s, l.UserID, 3, false)
			want = login.Active
		}
		for range 2 {
			activateLogin(t, s.Logins, l.UserID, uuid.NewString())
			wantState(t, s, l.UserID, want)
		}
		err := s.Sessions.Start(t.Context(), sessionOf(l.UserID), request(l.UserID))
		if restored != (err == nil) {
			t.Errorf("restored: %t, a session began: %v", restored, err)
		}
	}
}

// suspendBesideStart starts sessions while the login is suspended: each either failed or is
// revoked.
func suspendBesideStart(t *testing.T, s Stores) {
	ctx := context.WithoutCancel(t.Context())
	for round := range 10 {
		l := Reserved(t, s.Logins, fmt.Sprintf("ada%d@example.com", round))
		activateLogin(t, s.Logins, l.UserID, uuid.NewString())
		var mu sync.Mutex
		var started []string
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				n := sessionOf(l.UserID)
				switch err := s.Sessions.Start(ctx, n, request(n.UserID)); {
				case err == nil:
					mu.Lock()
					started = append(started, n.ID)
					mu.Unlock()
				case !errors.Is(err, session.ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			n := login.Standing{UserID: l.UserID, Revision: 2, Suspended: true, RevokedUntil: epoch.Add(time.Hour)}
			if err := s.Logins.SetStanding(ctx, n, request(l.UserID)); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		ended := revoked(t, s.Sessions)
		for _, id := range started {
			if !ended[id] {
				t.Fatalf("session %s was started and outlived the suspension of its login", id)
			}
		}
	}
}
