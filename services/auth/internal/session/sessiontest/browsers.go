package sessiontest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/request"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Browsers is one empty database with browser sessions. Its HoldRevocation may be nil.
type Browsers struct {
	Database

	Browsers session.BrowserStore
	// Below begins a client's session below a browser session in a transaction that stays open
	// until commit is called, and returns its id.
	Below func(t *testing.T, b session.Browser) (id string, commit func())
	// Waiting returns once a transaction waits for another one.
	Waiting func(t *testing.T)
}

// RunBrowsers runs the suite of session.BrowserStore; open gives each test an empty database.
func RunBrowsers(t *testing.T, open func(t *testing.T) Browsers) {
	t.Run("start needs an active login", func(t *testing.T) { startBrowserNeedsLogin(t, open(t)) })
	t.Run("a look writes only now and then", func(t *testing.T) { looks(t, open(t)) })
	t.Run("what is over is not found", func(t *testing.T) { over(t, open(t)) })
	t.Run("renewal replaces the secret once", func(t *testing.T) { renew(t, open(t)) })
	t.Run("end takes what is below with it", func(t *testing.T) { endBrowser(t, open(t)) })
	t.Run("end sees what is begun at the same moment", func(t *testing.T) { endWhileBeginning(t, open(t)) })
	t.Run("a client's refresh is a look", func(t *testing.T) { refreshBelow(t, open(t)) })
	t.Run("clean deletes what is over, in bounds", func(t *testing.T) { cleanBrowsers(t, open(t)) })
}

// begin stores a browser session of a fresh login.
func begin(t *testing.T, db Browsers, change func(*session.Browser)) session.Browser {
	t.Helper()
	user, org := db.Login(t)
	secret := uuid.New()
	b := session.Browser{
		ID: uuid.NewString(), UserID: user, OrganizationID: org, AuthTime: epoch, AMR: []string{"pwd", "otp"},
		From: request.Client{Address: "203.0.113.7", Agent: "curl/8"}, CreateTime: epoch, SeenTime: epoch, ExpireTime: epoch.Add(time.Hour),
	}
	copy(b.Secret[:], secret[:])
	if change != nil {
		change(&b)
	}
	if err := db.Browsers.StartBrowser(t.Context(), b, about(b.UserID, "auth.tested")); err != nil {
		t.Fatal(err)
	}
	return b
}

// look finds a session at a time, as one that may be idle for an hour and is seen anew each minute.
func look(t *testing.T, db Browsers, secret [32]byte, now time.Time) (session.Browser, error) {
	t.Helper()
	b, err := db.Browsers.FindBrowser(t.Context(), secret, now, now.Add(-time.Hour), now.Add(-time.Minute))
	b.AuthTime, b.CreateTime, b.SeenTime, b.ExpireTime = b.AuthTime.UTC(), b.CreateTime.UTC(), b.SeenTime.UTC(), b.ExpireTime.UTC()
	return b, err
}

// below begins a client's session and commits it.
func below(t *testing.T, db Browsers, b session.Browser) string {
	t.Helper()
	id, commit := db.Below(t, b)
	commit()
	return id
}

func startBrowserNeedsLogin(t *testing.T, db Browsers) {
	b := begin(t, db, nil)
	if got, err := look(t, db, b.Secret, epoch); err != nil || !reflect.DeepEqual(got, b) {
		t.Fatalf("stored = %+v, %v\nwant %+v", got, err, b)
	}
	orphan := b
	orphan.ID, orphan.UserID, orphan.Secret = uuid.NewString(), uuid.NewString(), [32]byte{1}
	if err := db.Browsers.StartBrowser(t.Context(), orphan, about(orphan.UserID, "auth.tested")); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("StartBrowser without a login = %v, want ErrNotFound", err)
	}
	recorded(t, db.Database, b.UserID, "auth.tested")
	recorded(t, db.Database, orphan.UserID) // R67: no event without its change
	orphan.UserID = b.UserID
	if err := db.Browsers.StartBrowser(t.Context(), orphan, event.Event{}); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Fatalf("StartBrowser without an event = %v, want a refusal (R68)", err)
	}
}

func looks(t *testing.T, db Browsers) {
	b := begin(t, db, nil)
	seen := func(at time.Time) time.Time {
		t.Helper()
		if _, err := look(t, db, b.Secret, at); err != nil {
			t.Fatal(err)
		}
		again, err := look(t, db, b.Secret, epoch.Add(-time.Hour)) // too early to write anything
		if err != nil {
			t.Fatal(err)
		}
		return again.SeenTime
	}
	for _, c := range []struct{ after, want time.Duration }{
		{59 * time.Second, 0}, {time.Minute, time.Minute}, {90 * time.Second, time.Minute}, {2 * time.Minute, 2 * time.Minute}, {time.Minute, 2 * time.Minute},
	} {
		if got := seen(epoch.Add(c.after)); !got.Equal(epoch.Add(c.want)) {
			t.Errorf("after a look at %s it was seen at %s, want %s", c.after, got.Sub(epoch), c.want)
		}
	}
}

func over(t *testing.T, db Browsers) { // R21
	b := begin(t, db, func(b *session.Browser) { b.ExpireTime = epoch.Add(90 * time.Minute) })
	idle := begin(t, db, func(b *session.Browser) { b.ExpireTime = epoch.Add(24 * time.Hour) })
	for name, c := range map[string]struct {
		secret [32]byte
		at     time.Duration
		want   error
	}{
		"unknown":       {[32]byte{9}, 0, session.ErrNotFound},
		"in use":        {b.Secret, 50 * time.Minute, nil},
		"expired":       {b.Secret, 90 * time.Minute, session.ErrNotFound},
		"just idle":     {idle.Secret, time.Hour, session.ErrNotFound},
		"idle for long": {idle.Secret, 5 * time.Hour, session.ErrNotFound},
	} {
		if _, err := look(t, db, c.secret, epoch.Add(c.at)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func renew(t *testing.T, db Browsers) { // R20
	b := begin(t, db, nil)
	next := b
	next.Secret, next.AuthTime, next.SeenTime, next.ExpireTime = [32]byte{7}, epoch.Add(time.Minute), epoch.Add(time.Minute), epoch.Add(2*time.Hour)
	next.AMR, next.From = []string{"hwk"}, request.Client{Address: "203.0.113.8"}
	if err := db.Browsers.RenewBrowser(t.Context(), next, b.Secret, about(b.UserID, "auth.renewed")); err != nil {
		t.Fatal(err)
	}
	if got, err := look(t, db, next.Secret, next.SeenTime); err != nil || !reflect.DeepEqual(got, next) {
		t.Fatalf("renewed = %+v, %v\nwant %+v", got, err, next)
	}
	if _, err := look(t, db, b.Secret, epoch); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("the old secret: %v, want ErrNotFound", err)
	}
	stolen := next
	stolen.UserID = uuid.NewString()
	for name, err := range map[string]error{
		"with the old secret": db.Browsers.RenewBrowser(t.Context(), next, b.Secret, about(b.UserID, "auth.renewed")),
		"of somebody else":    db.Browsers.RenewBrowser(t.Context(), stolen, next.Secret, about(b.UserID, "auth.renewed")),
	} {
		if !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	recorded(t, db.Database, b.UserID, "auth.tested", "auth.renewed") // R67
}

func endBrowser(t *testing.T, db Browsers) { // R22
	b, other := begin(t, db, nil), begin(t, db, nil)
	first, second, foreign := below(t, db, b), below(t, db, b), below(t, db, other)
	until := epoch.Add(time.Hour)
	end := func(user, id string) {
		t.Helper()
		if err := db.Browsers.EndBrowser(t.Context(), user, id, until, about(b.UserID, "auth.ended")); err != nil {
			t.Fatal(err)
		}
	}
	end(other.UserID, b.ID)
	end(b.UserID, uuid.NewString())
	if _, err := look(t, db, b.Secret, epoch); err != nil {
		t.Fatalf("somebody else ended it: %v", err)
	}
	end(b.UserID, b.ID)
	end(b.UserID, b.ID)
	if _, err := look(t, db, b.Secret, epoch); !errors.Is(err, session.ErrNotFound) {
		t.Fatalf("after the end: %v, want ErrNotFound", err)
	}
	ended, _ := revocations(t, db.Store, 0, epoch)
	if len(ended) != 2 || !ended[first].Equal(until) || !ended[second].Equal(until) {
		t.Fatalf("revocations = %v, want those below, until %s", ended, until)
	}
	if _, err := look(t, db, other.Secret, epoch); err != nil {
		t.Fatalf("the session of somebody else: %v", err)
	}
	if _, there := ended[foreign]; there {
		t.Error("a session below that of somebody else is ended too")
	}
	recorded(t, db.Database, b.UserID, "auth.tested", "auth.ended") // R67: one, with the one that ended it
}

// endWhileBeginning ends a session while another transaction begins one below it: that one is ended
// too, or is not begun.
func endWhileBeginning(t *testing.T, db Browsers) {
	b := begin(t, db, nil)
	id, commit := db.Below(t, b)
	ctx, until, done := context.WithoutCancel(t.Context()), epoch.Add(time.Hour), make(chan error, 1)
	go func() { done <- db.Browsers.EndBrowser(ctx, b.UserID, b.ID, until, about(b.UserID, "auth.ended")) }()
	db.Waiting(t)
	commit()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if ended, _ := revocations(t, db.Store, 0, epoch); len(ended) != 1 || !ended[id].Equal(until) {
		t.Fatalf("revocations = %v, want %s", ended, id)
	}
}

func refreshBelow(t *testing.T, db Browsers) { // R21
	b := begin(t, db, nil)
	id := below(t, db, b)
	found, err := db.Store.Get(t.Context(), id)
	if err != nil || found.BrowserID != b.ID || !found.BrowserSeen.Equal(epoch) || found.ClientID == "" {
		t.Fatalf("the session below = %+v, %v", found, err)
	}
	for _, c := range []struct{ after, want time.Duration }{{59 * time.Second, 0}, {time.Minute, time.Minute}, {90 * time.Second, time.Minute}} {
		at := epoch.Add(c.after)
		err := db.Store.Refresh(t.Context(), found.Family, func(session.Session) session.Decision {
			rotation := &session.Rotation{Token: [32]byte{7}, RefreshTime: at, StaleSince: at.Add(-time.Minute)}
			return session.Decision{Rotate: rotation, Event: about(b.UserID, "auth.rotated")}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := db.Store.Get(t.Context(), id); err != nil || !got.BrowserSeen.Equal(epoch.Add(c.want)) || !got.RefreshTime.Equal(at) {
			t.Errorf("after a refresh at %s the browser was seen at %s, %v, want %s", c.after, got.BrowserSeen.Sub(epoch), err, c.want)
		}
	}
}

func cleanBrowsers(t *testing.T, db Browsers) {
	idleSince := epoch.Add(-time.Hour)
	var gone []session.Browser
	for range 3 {
		gone = append(gone,
			begin(t, db, func(b *session.Browser) { b.ExpireTime = epoch }),
			begin(t, db, func(b *session.Browser) { b.SeenTime = idleSince }))
	}
	for _, b := range gone {
		below(t, db, b)
	}
	kept := begin(t, db, nil)
	below(t, db, kept)
	for _, want := range []int{4, 2, 0} {
		if n, err := db.Browsers.CleanBrowsers(t.Context(), epoch, idleSince, 4); err != nil || n != want {
			t.Fatalf("CleanBrowsers = %d, %v, want %d", n, err, want)
		}
	}
	for _, b := range gone {
		if _, err := db.Browsers.FindBrowser(t.Context(), b.Secret, time.Time{}, time.Time{}, time.Time{}); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("one that is over: %v, want ErrNotFound", err)
		}
	}
	if _, err := look(t, db, kept.Secret, epoch); err != nil {
		t.Errorf("one that is not over: %v", err)
	}
}
