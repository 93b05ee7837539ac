// Package logintest is the conformance suite of login.Store: what its comments promise, checked against a real implementation.
package logintest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/relation"
	"github.com/gatehouse/gatehouse/services/auth/internal/login"
	"github.com/gatehouse/gatehouse/services/auth/internal/proof"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Stores are the stores of one empty database. Logins is under test; Sessions shows what removal does to sessions.
type Stores struct {
	Logins login.Store

	Invitations login.InvitationStore
	Codes       proof.Store

	Sessions session.Store
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
	// Related returns the changes of relationships so far, by their consistency tokens.
	Related func(t *testing.T) map[string]relation.Change
	// Unchanged checks that what is tried changes no row of the database.
	Unchanged func(t *testing.T, name string, try func())
}

// request is the event of a request about a user.
func request(userID string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: "auth.tested", Method: "gatehouse.auth.v1.AuthService/SignUp", Outcome: event.Success,
		Actor: event.Actor{Type: event.Anonymous}, ObjectType: "user", ObjectID: userID, RequestID: "request-1",
		TraceID: "0123456789abcdef0123456789abcdef",
	}
}

// recorded checks the users of everything that was recorded so far.
func recorded(t *testing.T, s Stores, userIDs ...string) {
	t.Helper()
	var got []string
	for _, e := range s.Recorded(t) {
		got = append(got, e.ObjectID)
		if e.Action != "auth.tested" || e.RequestID != "request-1" {
			t.Errorf("recorded %+v, want the event of the request", e)
		}
	}
	if !slices.Equal(got, userIDs) {
		t.Fatalf("recorded of users %v, want %v", got, userIDs)
	}
}

// Epoch is the time at which the suite happens.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Run runs the suite; open gives each test an empty database.
func Run(t *testing.T, open func(t *testing.T) Stores) {
	t.Run("reserve takes an address once", func(t *testing.T) { reserveOnce(t, open(t)) })
	t.Run("parallel reservations have one winner", func(t *testing.T) { reserveParallel(t, open(t)) })
	t.Run("activate is idempotent", func(t *testing.T) { activate(t, open(t)) })
	t.Run("parallel activations are one", func(t *testing.T) { activateParallel(t, open(t)) })
	t.Run("undo removes pending logins only", func(t *testing.T) { undo(t, open(t)) })
	t.Run("claim gives each due login to one caller", func(t *testing.T) { claim(t, open(t)) })
	t.Run("replace hash is conditional", func(t *testing.T) { replaceHash(t, open(t)) })
	t.Run("a password changes once, and ends the other sessions", func(t *testing.T) { changePassword(t, open(t)) })
	runInvitations(t, open)
	runEmails(t, open)
	t.Run("remove ends sessions and deletes the login", func(t *testing.T) { remove(t, open(t)) })
	t.Run("a suspension ends sessions until the return", func(t *testing.T) { suspend(t, open(t)) })
	t.Run("a pending login is suspended, too", func(t *testing.T) { suspendPending(t, open(t)) })
	t.Run("no session outlives a suspension beside it", func(t *testing.T) { suspendBesideStart(t, open(t)) })
	t.Run("the bootstrap is used once for ever", func(t *testing.T) { bootstrapOnce(t, open(t)) })
	t.Run("an interrupted bootstrap frees the secret", func(t *testing.T) { bootstrapFreed(t, open(t)) })
	t.Run("parallel bootstraps have one winner", func(t *testing.T) { bootstrapParallel(t, open(t)) })
	t.Run("nothing changes without an event", func(t *testing.T) { unrecorded(t, open(t)) })
	t.Run("no session outlives a removal beside it", func(t *testing.T) { removeBesideStart(t, open(t)) })
}

// Pending returns a login to reserve.
func pending(email string) login.Login {
	return login.Login{UserID: uuid.NewString(), Email: email, PasswordHash: "$hash", State: login.Pending, DisplayName: "Ada"}
}

// Reserved stores a pending login that is due a minute later.
func Reserved(t *testing.T, s login.Store, email string) login.Login {
	t.Helper()
	l := pending(email)
	if _, reserved, err := s.Reserve(t.Context(), l, request(""), epoch, epoch.Add(time.Minute)); err != nil || !reserved {
		t.Fatalf("Reserve(%s) = %v, %v; want it reserved", email, reserved, err)
	}
	return l
}

func find(t *testing.T, s login.Store, email string, want login.Login) {
	t.Helper()
	if got, err := s.ByEmail(t.Context(), email); err != nil || got != want {
		t.Fatalf("ByEmail(%s) = %+v, %v\nwant %+v", email, got, err, want)
	}
	if got, err := s.ByUser(t.Context(), want.UserID); err != nil || got != want {
		t.Fatalf("ByUser(%s) = %+v, %v\nwant %+v", want.UserID, got, err, want)
	}
	if got, err := s.ByUser(t.Context(), uuid.NewString()); !errors.Is(err, login.ErrNotFound) {
		t.Fatalf("ByUser of nobody = %+v, %v; want ErrNotFound", got, err)
	}
}

func missing(t *testing.T, s login.Store, email string) {
	t.Helper()
	if got, err := s.ByEmail(t.Context(), email); !errors.Is(err, login.ErrNotFound) {
		t.Fatalf("ByEmail(%s) = %+v, %v; want ErrNotFound", email, got, err)
	}
}

func reserveOnce(t *testing.T, s Stores) {
	missing(t, s.Logins, "ada@example.com")
	first := Reserved(t, s.Logins, "ada@example.com")
	find(t, s.Logins, "ada@example.com", first)
	existing, reserved, err := s.Logins.Reserve(t.Context(), pending("ada@example.com"), request(""), epoch, epoch)
	if err != nil || reserved || existing != first {
		t.Fatalf("second Reserve = %+v, %v, %v; want the first login", existing, reserved, err)
	}
	find(t, s.Logins, "ada@example.com", first)
}

func reserveParallel(t *testing.T, s Stores) {
	const n = 8
	winners := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			got, _, err := s.Logins.Reserve(t.Context(), pending("ada@example.com"), request(""), epoch, epoch)
			if err != nil {
				t.Error(err)
			}
			winners[i] = got.UserID
		})
	}
	wg.Wait()
	for _, w := range winners {
		if w != winners[0] {
			t.Fatalf("callers saw different winners: %v", winners)
		}
	}
}

// activateLogin activates a login that is not the first administrator's.
func activateLogin(t *testing.T, s login.Store, userID, organizationID string) {
	t.Helper()
	if token, err := s.Activate(t.Context(), login.NewActivation(request(""), userID, organizationID), epoch); err != nil || token != "" {
		t.Fatalf("Activate = %q, %v; want no token", token, err)
	}
}

func activate(t *testing.T, s Stores) {
	l := Reserved(t, s.Logins, "ada@example.com")
	org := uuid.NewString()
	want := l
	want.State, want.OrganizationID, want.DisplayName = login.Active, org, ""
	recorded(t, s)
	for range 2 {
		activateLogin(t, s.Logins, l.UserID, org)
		find(t, s.Logins, "ada@example.com", want)
	}
	activateLogin(t, s.Logins, l.UserID, uuid.NewString())
	find(t, s.Logins, "ada@example.com", want) // an active login stays as it is
	if _, err := s.Logins.Activate(t.Context(), login.NewActivation(request(""), uuid.NewString(), org), epoch); !errors.Is(err, login.ErrNotFound) {
		t.Fatalf("Activate(unknown) = %v, want ErrNotFound", err)
	}
	recorded(t, s, l.UserID) // once, R67
}

// The request and the reconciler, or two repetitions, may complete one sign-up at the same moment.
func activateParallel(t *testing.T, s Stores) {
	for i, reserve := range []func() login.Login{
		func() login.Login { return Reserved(t, s.Logins, "ada@example.com") },
		func() login.Login { return reserveFirst(t, s, "admin@example.com") },
	} {
		l := reserve()
		tokens := make([]string, 8)
		ctx := t.Context()
		var wg sync.WaitGroup
		for i := range tokens {
			wg.Go(func() {
				var err error
				if tokens[i], err = s.Logins.Activate(ctx, login.NewActivation(request(""), l.UserID, uuid.NewString()), epoch); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(slices.Compact(tokens)) != 1 || (tokens[0] != "") != l.FirstAdministrator {
			t.Errorf("tokens %q", tokens)
		}
		if events := s.Recorded(t); len(events) != i+1 || events[i].ObjectID != l.UserID {
			t.Fatalf("recorded %+v, want one event more, of user %s", events, l.UserID)
		}
	}
}

func undo(t *testing.T, s Stores) {
	gone, kept := Reserved(t, s.Logins, "gone@example.com"), Reserved(t, s.Logins, "kept@example.com")
	activateLogin(t, s.Logins, kept.UserID, uuid.NewString())
	for _, id := range []string{gone.UserID, kept.UserID, uuid.NewString()} {
		if err := s.Logins.Undo(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	missing(t, s.Logins, "gone@example.com")
	if _, err := s.Logins.ByEmail(t.Context(), "kept@example.com"); err != nil {
		t.Fatalf("the active login: %v", err)
	}
}

func claim(t *testing.T, s Stores) {
	due := epoch.Add(time.Minute)
	for i := range 20 {
		Reserved(t, s.Logins, fmt.Sprintf("ada%d@example.com", i))
	}
	active := Reserved(t, s.Logins, "active@example.com")
	activateLogin(t, s.Logins, active.UserID, uuid.NewString())
	if early, err := s.Logins.Claim(t.Context(), due.Add(-time.Microsecond), due, 100); err != nil || len(early) != 0 {
		t.Fatalf("Claim before they are due = %d, %v; want none", len(early), err)
	}
	var mu sync.Mutex
	claims := map[string]int{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				got, err := s.Logins.Claim(t.Context(), due, due.Add(time.Minute), 3)
				if err != nil {
					t.Error(err)
				}
				if len(got) == 0 {
					return
				}
				mu.Lock()
				for _, l := range got {
					claims[l.UserID]++
					if want := request(""); !reflect.DeepEqual(l.Event, want) {
						t.Errorf("the claimed login's event is %+v, want %+v", l.Event, want)
					}
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, n := range claims {
		if n != 1 || id == active.UserID {
			t.Errorf("login %s was claimed %d times", id, n)
		}
	}
	if len(claims) != 20 {
		t.Errorf("%d logins were claimed, want 20", len(claims))
	}
	if again, err := s.Logins.Claim(t.Context(), due.Add(time.Minute), due.Add(2*time.Minute), 100); err != nil || len(again) != 20 {
		t.Errorf("Claim when they are due again = %d, %v; want 20", len(again), err)
	}
}

func replaceHash(t *testing.T, s Stores) {
	l := Reserved(t, s.Logins, "ada@example.com")
	for _, c := range []struct {
		old, hash, want string
		err             error
	}{
		{"$hash", "$better", "$better", nil},
		{"$hash", "$late", "$better", login.ErrNotFound},
	} {
		if err := s.Logins.ReplaceHash(t.Context(), l.UserID, c.old, c.hash, epoch, request(l.UserID)); !errors.Is(err, c.err) {
			t.Fatal(err)
		}
		want := l
		want.PasswordHash = c.want
		find(t, s.Logins, "ada@example.com", want)
	}
	recorded(t, s, l.UserID) // the change that happened
}

// sessionOf makes a session to start.
func sessionOf(userID string) session.Session {
	n := session.Session{ID: uuid.NewString(), UserID: userID, CreateTime: epoch, RefreshTime: epoch, ExpireTime: epoch.Add(time.Hour)}
	id := uuid.New()
	copy(n.Family[:], id[:])
	return n
}

func remove(t *testing.T, s Stores) {
	ctx := t.Context()
	l, other := Reserved(t, s.Logins, "ada@example.com"), Reserved(t, s.Logins, "other@example.com")
	var sessions []session.Session
	for _, id := range []string{l.UserID, l.UserID, other.UserID} {
		activateLogin(t, s.Logins, id, uuid.NewString())
		n := sessionOf(id)
		sessions = append(sessions, n)
		if err := s.Sessions.Start(ctx, n, request(n.UserID)); err != nil {
			t.Fatal(err)
		}
	}
	recorded(t, s, l.UserID, l.UserID, l.UserID, other.UserID, other.UserID) // each activation and each session
	until := epoch.Add(time.Hour)
	for range 2 { // a removal may be repeated
		if err := s.Logins.Remove(ctx, l.UserID, until, request(l.UserID)); err != nil {
			t.Fatal(err)
		}
	}
	missing(t, s.Logins, "ada@example.com")
	if n := len(s.Recorded(t)); n != 6 {
		t.Fatalf("two removals of one login recorded %d events", n-5)
	}
	ended := revoked(t, s.Sessions)
	if len(ended) != 2 || !ended[sessions[0].ID] || !ended[sessions[1].ID] {
		t.Fatalf("revoked = %v, want the two sessions of the removed login", ended)
	}
	keep := func(session.Session) session.Decision { return session.Decision{} }
	if err := s.Sessions.Refresh(ctx, sessions[0].Family, keep); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("a session of the removed login: %v, want ErrNotFound", err)
	}
	if err := s.Sessions.Refresh(ctx, sessions[2].Family, keep); err != nil {
		t.Fatalf("a session of another login: %v", err)
	}
	pendingLogin := Reserved(t, s.Logins, "ada@example.com") // the address is free, and pending logins can be removed
	if err := s.Logins.Remove(ctx, pendingLogin.UserID, until, request(pendingLogin.UserID)); err != nil {
		t.Fatal(err)
	}
	missing(t, s.Logins, "ada@example.com")
}

func revoked(t *testing.T, s session.Store) map[string]bool {
	t.Helper()
	all, _, err := s.Revocations(t.Context(), 0, epoch)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range all {
		ids[r.SessionID] = true
	}
	return ids
}

// removeBesideStart starts sessions while the login is removed: each either failed or is revoked.
func removeBesideStart(t *testing.T, s Stores) {
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
			if err := s.Logins.Remove(ctx, l.UserID, epoch.Add(time.Hour), request(l.UserID)); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		ended := revoked(t, s.Sessions)
		for _, id := range started {
			if !ended[id] {
				t.Fatalf("session %s was started and outlived the removal of its login", id)
			}
		}
	}
}
