// Package sessiontest is the conformance suite of session.Store: what its comments promise, checked against a real implementation.
package sessiontest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Database is one empty database.
type Database struct {
	Store session.Store
	// Login makes an active login, records that as auth.signed_up and returns its user and organization.
	Login func(t *testing.T) (userID, organizationID string)
	// HoldRevocation writes the revocation of a session in a transaction that stays open until commit is called.
	HoldRevocation func(t *testing.T, r session.Revocation) (commit func())
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
}

// requested is the event of a request, as the gRPC server makes it.
func requested(action string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: action, Outcome: event.Success, Actor: event.Actor{Type: event.Anonymous},
		ObjectType: "user", RequestID: "request-1",
	}
}

// about is the event of a request about a user.
func about(userID, action string) event.Event {
	e := requested(action)
	e.ObjectID = userID
	return e
}

// recorded checks the actions of everything that was recorded so far, and that each names the user.
func recorded(t *testing.T, db Database, userID string, actions ...string) {
	t.Helper()
	var got []string
	for _, e := range db.Recorded(t) {
		if e.ObjectID == userID && e.Action != "auth.signed_up" {
			got = append(got, e.Action)
		}
	}
	if !slices.Equal(got, actions) {
		t.Fatalf("recorded of the user: %v, want %v", got, actions)
	}
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Run runs the suite; open gives each test an empty database.
func Run(t *testing.T, open func(t *testing.T) Database) {
	t.Run("start needs an active login", func(t *testing.T) { startNeedsLogin(t, open(t)) })
	t.Run("refresh does what is decided", func(t *testing.T) { refresh(t, open(t)) })
	t.Run("refreshes of one family take turns", func(t *testing.T) { refreshTurns(t, open(t)) })
	t.Run("end revokes once", func(t *testing.T) { endOnce(t, open(t)) })
	t.Run("revocations of late commits are not missed", func(t *testing.T) { lateCommit(t, open(t)) })
	t.Run("revocations leave out the expired", func(t *testing.T) { expiredRevocations(t, open(t)) })
	t.Run("clean deletes what is over, in bounds", func(t *testing.T) { clean(t, open(t)) })
}

// start stores a session of a fresh login.
func start(t *testing.T, db Database, change func(*session.Session)) session.Session {
	t.Helper()
	user, org := db.Login(t)
	s := session.Session{
		ID: uuid.NewString(), UserID: user, OrganizationID: org, AuthTime: epoch, AMR: []string{"pwd"},
		From: request.Client{Address: "203.0.113.7", Agent: "curl/8"}, Audience: []string{}, CreateTime: epoch, RefreshTime: epoch, ExpireTime: epoch.Add(time.Hour),
	}
	family, secret := uuid.New(), uuid.New()
	copy(s.Family[:], family[:])
	copy(s.Token[:], secret[:])
	if change != nil {
		change(&s)
	}
	if err := db.Store.Start(t.Context(), s, about(s.UserID, "auth.tested")); err != nil {
		t.Fatal(err)
	}
	return s
}

// stored reads a session back.
func stored(t *testing.T, s session.Store, family [32]byte) (session.Session, error) {
	t.Helper()
	var found session.Session
	err := s.Refresh(t.Context(), family, func(n session.Session) session.Decision {
		found = n
		return session.Decision{}
	})
	return inUTC(found), err
}

func inUTC(s session.Session) session.Session {
	s.AuthTime, s.CreateTime, s.RefreshTime, s.ExpireTime = s.AuthTime.UTC(), s.CreateTime.UTC(), s.RefreshTime.UTC(), s.ExpireTime.UTC()
	s.BrowserSeen = s.BrowserSeen.UTC()
	return s
}

func revocations(t *testing.T, s session.Store, after session.Window, now time.Time) (map[string]time.Time, session.Window) {
	t.Helper()
	ended, window, err := s.Revocations(t.Context(), after, now)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]time.Time{}
	for _, r := range ended {
		set[r.SessionID] = r.ExpireTime.UTC()
	}
	return set, window
}

func startNeedsLogin(t *testing.T, db Database) {
	s := start(t, db, nil)
	if got, err := stored(t, db.Store, s.Family); err != nil || !reflect.DeepEqual(got, s) {
		t.Fatalf("stored session = %+v, %v\nwant %+v", got, err, s)
	}
	for name, get := range gets(t, db, s) {
		if got, err := get(); err != nil || !reflect.DeepEqual(inUTC(got), s) {
			t.Fatalf("%s = %+v, %v\nwant %+v", name, got, err, s)
		}
	}
	orphan := s
	orphan.ID, orphan.UserID, orphan.Family = uuid.NewString(), uuid.NewString(), [32]byte{1}
	if err := db.Store.Start(t.Context(), orphan, about(orphan.UserID, "auth.tested")); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("Start without a login = %v, want ErrNotFound", err)
	}
	recorded(t, db, s.UserID, "auth.tested")
	recorded(t, db, orphan.UserID) // R67: no event without its change
	if err := db.Store.Start(t.Context(), s, event.Event{}); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Fatalf("Start without an event = %v, want a refusal (R68)", err)
	}
}

// gets are the ways to read a session.
func gets(t *testing.T, db Database, s session.Session) map[string]func() (session.Session, error) {
	return map[string]func() (session.Session, error){
		"Get":       func() (session.Session, error) { return db.Store.Get(t.Context(), s.ID) },
		"GetFamily": func() (session.Session, error) { return db.Store.GetFamily(t.Context(), s.Family) },
	}
}

func refresh(t *testing.T, db Database) {
	s := start(t, db, nil)
	later := epoch.Add(time.Minute)
	err := db.Store.Refresh(t.Context(), s.Family, func(session.Session) session.Decision {
		return session.Decision{Rotate: &session.Rotation{Token: [32]byte{7}, RefreshTime: later}, Event: about(s.UserID, "auth.rotated")}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := s
	want.Token, want.RefreshTime = [32]byte{7}, later
	if got, err := stored(t, db.Store, s.Family); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("after rotation = %+v, %v\nwant %+v", got, err, want)
	}
	until := epoch.Add(time.Hour)
	err = db.Store.Refresh(t.Context(), s.Family, func(n session.Session) session.Decision {
		return session.Decision{End: &session.Revocation{SessionID: n.ID, ExpireTime: until}, Event: about(s.UserID, "auth.ended")}
	})
	if err != nil {
		t.Fatal(err)
	}
	recorded(t, db, s.UserID, "auth.tested", "auth.rotated", "auth.ended") // R67
	if _, err := stored(t, db.Store, s.Family); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("after the end: %v, want ErrNotFound", err)
	}
	if ended, _ := revocations(t, db.Store, 0, epoch); !ended[s.ID].Equal(until) || len(ended) != 1 {
		t.Fatalf("revocations = %v, want %s until %s", ended, s.ID, until)
	}
	if _, err := stored(t, db.Store, [32]byte{9}); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("unknown family: %v, want ErrNotFound", err)
	}
	for name, get := range gets(t, db, s) {
		if _, err := get(); !errors.Is(err, session.ErrNotFound) {
			t.Fatalf("%s after the end: %v, want ErrNotFound", name, err)
		}
	}
}

// refreshTurns counts up in the token: no increment is lost when callers take turns.
func refreshTurns(t *testing.T, db Database) {
	s := start(t, db, func(s *session.Session) { s.Token = [32]byte{} })
	ctx := context.WithoutCancel(t.Context())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			err := db.Store.Refresh(ctx, s.Family, func(n session.Session) session.Decision {
				n.Token[0]++
				return session.Decision{Rotate: &session.Rotation{Token: n.Token, RefreshTime: epoch}, Event: about(s.UserID, "auth.rotated")}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := stored(t, db.Store, s.Family); err != nil || got.Token[0] != 20 {
		t.Fatalf("after 20 parallel refreshes %d happened, %v", got.Token[0], err)
	}
}

func endOnce(t *testing.T, db Database) {
	s := start(t, db, nil)
	until := epoch.Add(time.Hour)
	foreign := session.Revocation{SessionID: s.ID, ExpireTime: until}
	if err := db.Store.End(t.Context(), uuid.NewString(), foreign, about(uuid.NewString(), "auth.tested")); err != nil {
		t.Fatalf("End(session of somebody else) = %v, want nil", err)
	}
	if _, err := stored(t, db.Store, s.Family); err != nil {
		t.Fatalf("somebody else ended the session: %v", err)
	}
	for i := range 3 {
		err := db.Store.End(t.Context(), s.UserID, session.Revocation{SessionID: s.ID, ExpireTime: until.Add(time.Duration(i) * time.Minute)}, about(s.UserID, "auth.tested"))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Store.End(t.Context(), s.UserID, session.Revocation{SessionID: uuid.NewString(), ExpireTime: until}, about(s.UserID, "auth.tested")); err != nil {
		t.Fatalf("End(unknown) = %v, want nil", err)
	}
	recorded(t, db, s.UserID, "auth.tested", "auth.tested") // the start and one end
	if ended, _ := revocations(t, db.Store, 0, epoch); len(ended) != 1 || !ended[s.ID].Equal(until) {
		t.Fatalf("revocations = %v, want %s until %s only", ended, s.ID, until)
	}
	if _, err := stored(t, db.Store, s.Family); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("after the end: %v, want ErrNotFound", err)
	}
}

// lateCommit commits two revocations in the other order than they were written, with a read in between.
func lateCommit(t *testing.T, db Database) {
	until := epoch.Add(time.Hour)
	late := session.Revocation{SessionID: uuid.NewString(), ExpireTime: until}
	commit := db.HoldRevocation(t, late)
	early := start(t, db, nil)
	if err := db.Store.End(t.Context(), early.UserID, session.Revocation{SessionID: early.ID, ExpireTime: until}, about(early.UserID, "auth.tested")); err != nil {
		t.Fatal(err)
	}
	first, window := revocations(t, db.Store, 0, epoch)
	if _, ok := first[early.ID]; !ok || len(first) != 1 {
		t.Fatalf("first read = %v, want the committed one only", first)
	}
	commit()
	second, window := revocations(t, db.Store, window, epoch)
	if _, ok := second[late.SessionID]; !ok {
		t.Fatalf("second read = %v, want the late commit", second)
	}
	if third, _ := revocations(t, db.Store, window, epoch); len(third) > len(second) {
		t.Fatalf("third read = %v, want no more than the second", third)
	}
	// Once nothing that ran beside it runs any more, anywhere on the server, the window passes everything that was seen.
	deadline := time.Now().Add(30 * time.Second)
	for again := second; len(again) > 0; again, window = revocations(t, db.Store, window, epoch) {
		if time.Now().After(deadline) {
			t.Fatalf("the window never passes %v", again)
		}
	}
}

func expiredRevocations(t *testing.T, db Database) {
	s := start(t, db, nil)
	until := epoch.Add(time.Hour)
	if err := db.Store.End(t.Context(), s.UserID, session.Revocation{SessionID: s.ID, ExpireTime: until}, about(s.UserID, "auth.tested")); err != nil {
		t.Fatal(err)
	}
	if ended, _ := revocations(t, db.Store, 0, until); len(ended) != 0 {
		t.Fatalf("revocations at the expiry = %v, want none", ended)
	}
}

func clean(t *testing.T, db Database) {
	idleSince := epoch.Add(-time.Hour)
	var over, kept []session.Session
	for range 3 {
		over = append(over,
			start(t, db, func(s *session.Session) { s.ExpireTime = epoch }),
			start(t, db, func(s *session.Session) { s.RefreshTime = idleSince }))
	}
	kept = append(kept, start(t, db, nil))
	gone := start(t, db, nil)
	if err := db.Store.End(t.Context(), gone.UserID, session.Revocation{SessionID: gone.ID, ExpireTime: epoch}, about(gone.UserID, "auth.tested")); err != nil {
		t.Fatal(err)
	}
	total := 0
	for {
		n, err := db.Store.Clean(t.Context(), epoch, idleSince, 4)
		if err != nil {
			t.Fatal(err)
		}
		if n > 8 {
			t.Fatalf("one Clean deleted %d rows, more than its limit of each", n)
		}
		if n == 0 {
			break
		}
		total += n
	}
	if total != len(over)+1 {
		t.Fatalf("Clean deleted %d rows, want %d", total, len(over)+1)
	}
	for _, s := range over {
		if _, err := stored(t, db.Store, s.Family); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("a session that is over: %v, want ErrNotFound", err)
		}
	}
	for _, s := range kept {
		if _, err := stored(t, db.Store, s.Family); err != nil {
			t.Errorf("a session that is not over: %v", err)
		}
	}
	if ended, _ := revocations(t, db.Store, 0, epoch.Add(-time.Hour)); len(ended) != 0 {
		t.Errorf("revocations = %v, want none: expired is not news", ended)
	}
}
