package sessiontest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/services/auth/internal/mail"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

// Overview is one empty database with the store that shows and ends a user's sessions.
type Overview struct {
	Browsers

	Overview session.OverviewStore
	Queued   func(t *testing.T) int // mails that wait
}

// RunOverview runs the suite of session.OverviewStore; open gives each test an empty database.
func RunOverview(t *testing.T, open func(t *testing.T) Overview) {
	t.Run("list shows what is not over, page by page", func(t *testing.T) { listEntries(t, open(t)) })
	t.Run("end one takes what is below with it", func(t *testing.T) { endAnyOne(t, open(t)) })
	t.Run("end others keeps one and what is above it", func(t *testing.T) { endOthers(t, open(t)) })
	t.Run("who is told is told of what was ended", func(t *testing.T) { endAndTell(t, open(t)) })
	t.Run("end others sees what is begun at the same moment", func(t *testing.T) { endOthersWhileBeginning(t, open(t)) })
}

// limits are those at the epoch, of sessions that may be idle for an hour.
func limits() session.Limits {
	return session.Limits{Now: epoch, IdleSince: epoch.Add(-time.Hour), BrowserIdle: epoch.Add(-time.Hour)}
}

// entries are the ids of a user's sessions, each with those below it behind it.
func entries(t *testing.T, db Overview, userID string, q resource.Query) (ids []string, last resource.Cursor) {
	t.Helper()
	list, err := db.Overview.ListEntries(t.Context(), userID, limits(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		ids = append(ids, e.ID)
		for _, c := range e.Clients {
			ids = append(ids, c.ID)
		}
		last = resource.Cursor{CreateTime: e.CreateTime, ID: e.ID}
	}
	return ids, last
}

// person is a user with a browser session, two clients below it, and a session of the platform's
// own sign-in, the oldest of all.
type person struct {
	id              string
	browser         session.Browser
	own             session.Session
	first, second   string // below the browser session; the second is the newer one
	another         session.Browser
	belowTheAnother string
}

func newPerson(t *testing.T, db Overview) person {
	t.Helper()
	var p person
	p.browser = begin(t, db.Browsers, nil)
	p.id = p.browser.UserID
	of := func(b *session.Browser) { b.UserID, b.CreateTime = p.id, epoch.Add(time.Minute) }
	p.another = begin(t, db.Browsers, of)
	p.own = start(t, db.Database, func(s *session.Session) { s.UserID, s.CreateTime = p.id, epoch.Add(-time.Minute) })
	p.first, p.second = below(t, db.Browsers, p.browser), ""
	later := p.browser
	later.CreateTime = epoch.Add(time.Second)
	p.second = below(t, db.Browsers, later)
	p.belowTheAnother = below(t, db.Browsers, p.another)
	return p
}

func listEntries(t *testing.T, db Overview) { // R23
	p, stranger := newPerson(t, db), newPerson(t, db)
	for _, change := range []func(*session.Session){
		func(s *session.Session) { s.ExpireTime = epoch },
		func(s *session.Session) { s.RefreshTime = epoch.Add(-time.Hour) },
	} {
		start(t, db.Database, func(s *session.Session) { s.UserID = p.id; change(s) })
	}
	for _, change := range []func(*session.Browser){
		func(b *session.Browser) { b.ExpireTime = epoch },
		func(b *session.Browser) { b.SeenTime = epoch.Add(-time.Hour) },
	} {
		begin(t, db.Browsers, func(b *session.Browser) { b.UserID = p.id; change(b) })
	}
	all := []string{p.another.ID, p.belowTheAnother, p.browser.ID, p.second, p.first, p.own.ID}
	if got, _ := entries(t, db, p.id, resource.Query{Limit: 10}); !slices.Equal(got, all) {
		t.Fatalf("sessions = %v, want %v", got, all)
	}
	var paged []string
	q := resource.Query{Limit: 1}
	for range 4 {
		got, last := entries(t, db, p.id, q)
		paged = append(paged, got...)
		q.After = &last
	}
	if !slices.Equal(paged, all) {
		t.Errorf("page by page: %v, want %v", paged, all)
	}
	if got, _ := entries(t, db, stranger.id, resource.Query{Limit: 10}); slices.Contains(got, p.own.ID) || len(got) != 6 {
		t.Errorf("those of somebody else: %v", got)
	}
	list, err := db.Overview.ListEntries(t.Context(), p.id, limits(), resource.Query{Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	if b := list[1]; !b.Browser || b.From != p.browser.From || !b.SeenTime.Equal(epoch) || !b.ExpireTime.Equal(p.browser.ExpireTime) ||
		b.Clients[1].ClientID == "" || !b.Clients[1].CreateTime.Equal(epoch) || !b.Clients[1].ExpireTime.Equal(p.browser.ExpireTime) {
		t.Errorf("the browser session = %+v", b)
	}
	if own := list[2]; own.Browser || own.From != p.own.From || !own.SeenTime.Equal(p.own.RefreshTime) || len(own.Clients) != 0 { // R90
		t.Errorf("that of the platform's own sign-in = %+v", own)
	}
}

// left checks which sessions of a user are left, and which are revoked.
func left(t *testing.T, db Overview, userID string, want, revoked []string) {
	t.Helper()
	if got, _ := entries(t, db, userID, resource.Query{Limit: 10}); !slices.Equal(got, want) {
		t.Errorf("left are %v, want %v", got, want)
	}
	ended, _ := revocations(t, db.Store, 0, epoch)
	for _, id := range revoked {
		if !ended[id].Equal(epoch.Add(time.Hour)) {
			t.Errorf("%s is not revoked", id)
		}
	}
	if len(ended) != len(revoked) {
		t.Errorf("revoked are %v, want %v", ended, revoked)
	}
}

func endAnyOne(t *testing.T, db Overview) { // R22, R23, R52
	p, stranger := newPerson(t, db), newPerson(t, db)
	end := func(id string) bool {
		t.Helper()
		ended, err := db.Overview.EndOne(t.Context(), p.id, id, epoch.Add(time.Hour), nil, about(p.id, "auth.ended"))
		if err != nil {
			t.Fatal(err)
		}
		return ended
	}
	for _, id := range []string{uuid.NewString(), stranger.browser.ID, stranger.own.ID, stranger.first} {
		if end(id) {
			t.Errorf("%s, of nobody or somebody else, is ended", id)
		}
	}
	left(t, db, stranger.id, []string{stranger.another.ID, stranger.belowTheAnother, stranger.browser.ID, stranger.second, stranger.first, stranger.own.ID}, nil)
	if !end(p.first) || end(p.first) {
		t.Error("a client's session is to be ended once")
	}
	left(t, db, p.id, []string{p.another.ID, p.belowTheAnother, p.browser.ID, p.second, p.own.ID}, []string{p.first})
	if !end(p.browser.ID) || !end(p.own.ID) {
		t.Error("the browser session and that of the platform's own sign-in are to be ended")
	}
	left(t, db, p.id, []string{p.another.ID, p.belowTheAnother}, []string{p.first, p.second, p.own.ID})
	recorded(t, db.Database, p.id, "auth.tested", "auth.tested", "auth.tested", "auth.ended", "auth.ended", "auth.ended") // R67
}

func endOthers(t *testing.T, db Overview) { // R22, R23
	for name, c := range map[string]struct {
		keep        func(person) string
		left, ended func(person) []string
	}{
		"none": {
			func(person) string { return "" }, func(person) []string { return nil },
			func(p person) []string { return []string{p.first, p.second, p.belowTheAnother, p.own.ID} },
		},
		"that of the platform's own sign-in": {
			func(p person) string { return p.own.ID }, func(p person) []string { return []string{p.own.ID} },
			func(p person) []string { return []string{p.first, p.second, p.belowTheAnother} },
		},
		"a browser's": {
			func(p person) string { return p.browser.ID }, func(p person) []string { return []string{p.browser.ID} },
			func(p person) []string { return []string{p.first, p.second, p.belowTheAnother, p.own.ID} },
		},
		"a client's": {
			func(p person) string { return p.first }, func(p person) []string { return []string{p.browser.ID, p.first} },
			func(p person) []string { return []string{p.second, p.belowTheAnother, p.own.ID} },
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, stranger := newPerson(t, db), newPerson(t, db)
			before, _ := revocations(t, db.Store, 0, epoch)
			for range 2 {
				if err := db.Overview.EndOthers(t.Context(), p.id, c.keep(p), epoch.Add(time.Hour), nil, about(p.id, "auth.ended")); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ := entries(t, db, p.id, resource.Query{Limit: 10}); !slices.Equal(got, c.left(p)) {
				t.Errorf("left are %v, want %v", got, c.left(p))
			}
			ended, _ := revocations(t, db.Store, 0, epoch)
			for _, id := range c.ended(p) {
				if !ended[id].Equal(epoch.Add(time.Hour)) {
					t.Errorf("%s is not revoked", id)
				}
			}
			if len(ended)-len(before) != len(c.ended(p)) {
				t.Errorf("%d are revoked, want %d", len(ended)-len(before), len(c.ended(p)))
			}
			if got, _ := entries(t, db, stranger.id, resource.Query{Limit: 10}); len(got) != 6 {
				t.Errorf("somebody else has %v left", got)
			}
			recorded(t, db.Database, p.id, "auth.tested", "auth.tested", "auth.tested", "auth.ended") // R67: once
		})
	}
	p, stranger := newPerson(t, db), newPerson(t, db)
	if err := db.Overview.EndOthers(t.Context(), p.id, stranger.first, epoch.Add(time.Hour), nil, about(p.id, "auth.ended")); err != nil {
		t.Fatal(err)
	}
	if got, _ := entries(t, db, p.id, resource.Query{Limit: 10}); len(got) != 0 {
		t.Errorf("a session of somebody else keeps %v", got)
	}
}

func endAndTell(t *testing.T, db Overview) { // R17
	p := newPerson(t, db)
	notice := func() *mail.Queued {
		return &mail.Queued{
			ID: uuid.NewString(), Kind: mail.SessionsEnded, Address: []byte(p.id), Sealed: []byte("sealed"), CreateTime: epoch, ExpireTime: epoch.Add(time.Hour),
		}
	}
	until := epoch.Add(time.Hour)
	one := func(id string, e event.Event) error {
		_, err := db.Overview.EndOne(t.Context(), p.id, id, until, notice(), e)
		return err
	}
	others := func(keep string, e event.Event) error {
		return db.Overview.EndOthers(t.Context(), p.id, keep, until, notice(), e)
	}
	e := about(p.id, "auth.ended")
	for _, step := range []struct {
		name string
		do   func() error
		told int
	}{
		{"nobody's session", func() error { return one(uuid.NewString(), e) }, 0},
		{"one", func() error { return one(p.own.ID, e) }, 1},
		{"one that is gone", func() error { return one(p.own.ID, e) }, 1},
		{"others", func() error { return others(p.first, e) }, 2},
		{"others once more", func() error { return others(p.first, e) }, 2},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if n := db.Queued(t); n != step.told {
			t.Errorf("%s: %d mails wait, want %d", step.name, n, step.told)
		}
	}
	if err := one(p.browser.ID, event.Event{}); err == nil { // R68
		t.Error("ended without an event")
	}
	if got, _ := entries(t, db, p.id, resource.Query{Limit: 10}); !slices.Equal(got, []string{p.browser.ID, p.first}) || db.Queued(t) != 2 {
		t.Errorf("left are %v, and %d mails wait", got, db.Queued(t))
	}
}

// endOthersWhileBeginning ends sessions while another transaction begins one.
func endOthersWhileBeginning(t *testing.T, db Overview) {
	b := begin(t, db.Browsers, nil)
	id, commit := db.Below(t, b)
	ctx, done := context.WithoutCancel(t.Context()), make(chan error, 1)
	go func() {
		done <- db.Overview.EndOthers(ctx, b.UserID, "", epoch.Add(time.Hour), nil, about(b.UserID, "auth.ended"))
	}()
	db.Waiting(t)
	commit()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	left(t, db, b.UserID, nil, []string{id})
}
