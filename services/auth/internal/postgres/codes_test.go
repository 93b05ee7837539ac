package postgres_test

import (
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
	"github.com/gatehouse/gatehouse/services/auth/internal/openid"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres"
	"github.com/gatehouse/gatehouse/services/auth/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/auth/internal/session"
)

var issued = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// codes are the used codes of a database, in which somebody is signed in with a browser.
type codes struct {
	*postgres.Codes
	*postgrestest.Database
	browser session.Browser
	client  string // id of one that is registered
}

func newCodes(t *testing.T) codes {
	t.Helper()
	db := postgrestest.Open(t)
	user, org := activeLogin(t, db)
	b := session.Browser{
		ID: uuid.NewString(), UserID: user, OrganizationID: org, AuthTime: issued, AMR: []string{"pwd"}, CreateTime: issued, SeenTime: issued,
		ExpireTime: issued.Add(time.Hour),
	}
	if err := db.Browsers.StartBrowser(t.Context(), b, postgrestest.Event("auth.signed_in")); err != nil {
		t.Fatal(err)
	}
	return codes{postgres.NewCodes(db.Pool, db.Outbox), db, b, registered(t, db)}
}

// registered makes a client.
func registered(t *testing.T, db *postgrestest.Database) (id string) {
	t.Helper()
	c := client.Client{
		ID: client.NewID(uuid.NewString()), Name: "An application", Public: true, IDTokenAlgorithm: client.RS256, Revision: 1, CreateTime: issued, UpdateTime: issued,
	}
	if err := db.Clients.Create(t.Context(), c, postgrestest.Event("client.created")); err != nil {
		t.Fatal(err)
	}
	return c.ID
}

// session is one that a code begins.
func (c codes) session() session.Session {
	id := uuid.NewString()
	return session.Session{
		ID: id, UserID: c.browser.UserID, OrganizationID: c.browser.OrganizationID, Family: sha256.Sum256([]byte(id)), Token: sha256.Sum256([]byte(id + "t")),
		AuthTime: issued, AMR: []string{"pwd"}, CreateTime: issued, RefreshTime: issued, ExpireTime: issued.Add(time.Hour),
		BrowserID: c.browser.ID, ClientID: c.client, Scope: "openid email", Audience: []string{"https://api.example"},
	}
}

func (c codes) redeem(t *testing.T, s session.Session) error {
	t.Helper()
	return c.Redeem(t.Context(), s, s.CreateTime.Add(time.Minute), s.Started(postgrestest.Event("auth.tokens_issued")))
}

// actions are those of the events that were recorded.
func (c codes) actions(t *testing.T) (all []string) {
	t.Helper()
	for _, e := range c.Recorded(t) {
		all = append(all, e.Action)
	}
	return all
}

func TestACodeIsUsedOnce(t *testing.T) { // R31
	c := newCodes(t)
	first := c.session()
	var mu sync.Mutex
	var answers []error
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			s := c.session() // with a refresh token of its own, as each request draws one
			s.ID = first.ID
			err := c.redeem(t, s)
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, err)
		})
	}
	wg.Wait()
	used := 0
	for _, err := range answers {
		if errors.Is(err, openid.ErrCodeUsed) {
			used++
		} else if err != nil {
			t.Error(err)
		}
	}
	if used != 9 {
		t.Errorf("%d of 10 were told that the code was used", used)
	}
	if got := c.actions(t); !slices.Equal(got, []string{"auth.signed_up", "auth.signed_in", "client.created", "auth.client_signed_in"}) { // R67
		t.Errorf("recorded %v", got)
	}
	r := session.Revocation{SessionID: first.ID, ExpireTime: issued}
	if err := c.Sessions.End(t.Context(), c.browser.UserID, r, postgrestest.Event("auth.session_ended")); err != nil {
		t.Fatal(err)
	}
	if err := c.redeem(t, first); !errors.Is(err, openid.ErrCodeUsed) { // its session is gone, and it stays used
		t.Errorf("after the end: %v", err)
	}
}

func TestACodeNeedsItsBrowserSession(t *testing.T) {
	c := newCodes(t)
	other, _ := activeLogin(t, c.Database)
	s := c.session()
	for name, change := range map[string]func(*session.Session){
		"none":                  func(s *session.Session) { s.BrowserID = "" },
		"unknown":               func(s *session.Session) { s.BrowserID = uuid.NewString() },
		"of somebody else":      func(s *session.Session) { s.UserID = other },
		"over":                  func(s *session.Session) { s.CreateTime = c.browser.ExpireTime },
		"of nobody that exists": func(s *session.Session) { s.UserID = uuid.NewString() },
	} {
		changed := s
		change(&changed)
		if err := c.redeem(t, changed); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if err := c.Redeem(t.Context(), s, issued, event.Event{}); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("without an event: %v, want a refusal (R68)", err)
	}
	if err := c.redeem(t, s); err != nil { // nothing of that used the code up
		t.Fatal(err)
	}
	found, err := c.Sessions.Get(t.Context(), s.ID)
	if err != nil || found.ClientID != s.ClientID || found.BrowserID != s.BrowserID || found.Scope != s.Scope || !slices.Equal(found.Audience, s.Audience) ||
		found.Token != s.Token || !found.AuthTime.Equal(s.AuthTime) || !slices.Equal(found.AMR, s.AMR) {
		t.Errorf("stored %+v, %v", found, err)
	}
}

func TestACodeNeedsItsClient(t *testing.T) { // R22
	c := newCodes(t)
	s := c.session()
	s.ClientID = client.NewID(uuid.NewString())
	if err := c.redeem(t, s); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("of an unknown client: %v, want ErrNotFound", err)
	}
	if err := c.redeem(t, c.session()); err != nil {
		t.Fatal(err)
	}
	gone := func(client.Client) (event.Event, error) { return postgrestest.Event("client.deleted"), nil }
	if err := c.Clients.Delete(t.Context(), c.client, issued.Add(time.Hour), gone); err != nil {
		t.Fatal(err)
	}
	if err := c.redeem(t, c.session()); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("of one that was deleted: %v, want ErrNotFound", err)
	}
}

// A page that signs in whenever it is loaded keeps the newest sessions.
func TestTheOldestSessionsOfAClientEnd(t *testing.T) {
	c := newCodes(t)
	var all []string
	for i := range 52 {
		s := c.session()
		s.CreateTime = issued.Add(time.Duration(i) * time.Second)
		if i == 0 {
			s.ClientID = registered(t, c.Database)
		}
		if err := c.redeem(t, s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.ID)
	}
	for i, id := range all {
		_, err := c.Sessions.Get(t.Context(), id)
		if there := i != 1; (err == nil) != there {
			t.Errorf("session %d: %v", i, err)
		}
	}
	ended, _, err := c.Sessions.Revocations(t.Context(), 0, issued)
	if err != nil || len(ended) != 1 || ended[0].SessionID != all[1] {
		t.Errorf("revoked %v, %v", ended, err)
	}
}

func TestOldCodesAreForgottenInBounds(t *testing.T) {
	c := newCodes(t)
	for i := range 3 {
		s := c.session()
		if err := c.Redeem(t.Context(), s, issued.Add(time.Duration(i)*time.Minute), s.Started(postgrestest.Event("auth.tokens_issued"))); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int{1, 1, 0} {
		if n, err := c.CleanCodes(t.Context(), issued.Add(time.Minute), 1); n != want || err != nil {
			t.Errorf("clean %d deletes %d, %v; want %d", i, n, err, want)
		}
	}
}
