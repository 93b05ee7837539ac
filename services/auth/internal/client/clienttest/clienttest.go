// Package clienttest is the conformance suite of client.Store: what its comments promise, checked
// against a real implementation.
package clienttest

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/auth/internal/client"
)

// Database is one empty database.
type Database struct {
	Store client.Store
	// Session makes a session of a client and returns its id.
	Session func(t *testing.T, clientID string) string
	// Announced returns until when the end of each session is announced.
	Announced func(t *testing.T) map[string]time.Time
	// Recorded returns what was recorded for Audit so far, in order.
	Recorded func(t *testing.T) []event.Event
}

// Run runs the suite; open gives each test an empty database.
func Run(t *testing.T, open func(t *testing.T) Database) {
	for name, test := range map[string]func(*testing.T, Database){
		"what is created is what is got":         create,
		"nobody knows an unknown client":         unknown,
		"an update changes one client":           update,
		"secrets come and go with an update":     secrets,
		"a refused update changes nothing":       updateRefused,
		"an update without a change is no event": updateOfNothing,
		"updates of one client take turns":       updateConcurrently,
		"pages have every client once":           pages,
		"a deletion takes the secrets along":     remove,
		"a deletion ends the client's sessions":  removeSessions,
		"a refused deletion removes nothing":     removeRefused,
		"of rivals one deletes":                  removeByRivals,
		"origins are the union":                  origins,
		"without an event nothing happens":       unrecorded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// did is the event of a request about a client.
func did(action, id string) event.Event {
	return event.Event{
		Source: "auth", Caller: "gateway", Action: action, Outcome: event.Success, Actor: event.Actor{Type: event.User, ID: "ada"},
		ObjectType: "client", ObjectID: id, RequestID: "request-1",
	}
}

func epoch() time.Time { return time.Date(2031, 2, 3, 4, 5, 6, 789012000, time.UTC) }

func newClient(name string) client.Client {
	return client.Client{
		ID: client.NewID(uuid.NewString()), Name: name,
		RedirectURIs: []string{"https://app.example.com/b", "https://app.example.com/a"}, PostLogoutRedirectURIs: []string{"https://app.example.com/bye"},
		WebOrigins: []string{"https://app.example.com"}, Audiences: []string{"urn:example:api"}, Scopes: []string{client.ScopeOpenID},
		IDTokenAlgorithm: client.ES256, Secrets: []client.Secret{newSecret(0), newSecret(time.Second)},
		Revision: 1, CreateTime: epoch(), UpdateTime: epoch(),
	}
}

func newSecret(after time.Duration) client.Secret {
	s := client.Secret{ID: uuid.NewString(), CreateTime: epoch().Add(after)}
	copy(s.Hash[:], s.ID)
	return s
}

// newPublic returns a client with nothing in it that a client may lack.
func newPublic() client.Client {
	return client.Client{
		ID: client.NewID(uuid.NewString()), Public: true, RedirectURIs: []string{}, PostLogoutRedirectURIs: []string{}, WebOrigins: []string{},
		Audiences: []string{}, Scopes: []string{}, Secrets: []client.Secret{}, IDTokenAlgorithm: client.RS256,
		Revision: 1, CreateTime: epoch(), UpdateTime: epoch(),
	}
}

func (db Database) stored(t *testing.T, c client.Client) client.Client {
	t.Helper()
	check.NoError(t, db.Store.Create(t.Context(), c, did("client.created", c.ID)))
	return c
}

func (db Database) wantStored(t *testing.T, want client.Client) {
	t.Helper()
	got, err := db.Store.Get(t.Context(), want.ID)
	check.NoError(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("stored is\n%+v, want\n%+v", got, want)
	}
}

// wantRecorded checks the actions of everything that was recorded about a client.
func (db Database) wantRecorded(t *testing.T, id string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range db.Recorded(t) {
		if e.ObjectID == id {
			got = append(got, strings.TrimPrefix(e.Action, "client."))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("recorded of the client: %v, want %v", got, want)
	}
}

func create(t *testing.T, db Database) {
	confidential := db.stored(t, newClient(`Åsa 😀 "q" 'q' \ %_ @name $1 {}`))
	public := db.stored(t, newPublic())
	db.wantStored(t, confidential)
	db.wantStored(t, public)
	db.wantRecorded(t, confidential.ID, "created")
	if err := db.Store.Create(t.Context(), public, did("client.created", public.ID)); err == nil {
		t.Error("a client is stored twice under one id")
	}
}

func unknown(t *testing.T, db Database) {
	for _, id := range []string{client.NewID(uuid.NewString()), uuid.NewString(), "gatehouse", ""} {
		_, err := db.Store.Get(t.Context(), id)
		wantError(t, err, client.ErrNotFound)
		_, err = db.Store.Update(t.Context(), id, func(c client.Client) (client.Client, event.Event, error) {
			return c, did("client.updated", id), nil
		})
		wantError(t, err, client.ErrNotFound)
		wantError(t, db.Store.Delete(t.Context(), id, epoch(), deleted(id)), client.ErrNotFound)
	}
}

// change is an update that is not refused.
func (db Database) change(t *testing.T, id string, change func(*client.Client)) client.Client {
	t.Helper()
	got, err := db.Store.Update(t.Context(), id, func(c client.Client) (client.Client, event.Event, error) {
		change(&c)
		return c, did("client.updated", id), nil
	})
	check.NoError(t, err)
	return got
}

func update(t *testing.T, db Database) {
	c, bystander := db.stored(t, newClient("a")), db.stored(t, newClient("b"))
	want := c
	want.Name, want.RedirectURIs, want.PostLogoutRedirectURIs = "c", []string{"com.example.app:/cb"}, []string{}
	want.WebOrigins, want.Audiences, want.Scopes = []string{}, []string{"https://api.example.com"}, []string{client.ScopePlatform}
	want.IDTokenAlgorithm, want.Revision, want.UpdateTime = client.EdDSA, 2, epoch().Add(time.Hour)
	if got := db.change(t, c.ID, func(c *client.Client) { *c = want }); !reflect.DeepEqual(got, want) {
		t.Fatalf("got\n%+v, want\n%+v", got, want)
	}
	db.wantStored(t, want)
	db.wantStored(t, bystander)
	db.wantRecorded(t, c.ID, "created", "updated")
}

func secrets(t *testing.T, db Database) {
	c, bystander := db.stored(t, newClient("a")), db.stored(t, newClient("b"))
	added := newSecret(time.Hour)
	got := db.change(t, c.ID, func(c *client.Client) {
		c.Secrets = []client.Secret{c.Secrets[1], added}
		c.Revision++
	})
	if want := []client.Secret{c.Secrets[1], added}; !slices.Equal(got.Secrets, want) {
		t.Fatalf("got the secrets %v, want %v", got.Secrets, want)
	}
	db.wantStored(t, got)
	db.wantStored(t, bystander)
}

func updateRefused(t *testing.T, db Database) {
	c := db.stored(t, newClient("a"))
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	_, err := db.Store.Update(t.Context(), c.ID, func(c client.Client) (client.Client, event.Event, error) {
		c.Name, c.Secrets, c.Revision = "changed", nil, 2
		return c, did("client.updated", c.ID), refusal
	})
	wantError(t, err, refusal)
	db.wantStored(t, c)
	db.wantRecorded(t, c.ID, "created")
}

func updateOfNothing(t *testing.T, db Database) {
	c := db.stored(t, newClient("a"))
	db.change(t, c.ID, func(*client.Client) {})
	db.wantStored(t, c)
	db.wantRecorded(t, c.ID, "created")
}

// Each sees what the one before it did, its secrets included.
func updateConcurrently(t *testing.T, db Database) {
	const callers = 8
	c := newClient("a")
	c.Secrets = []client.Secret{}
	db.stored(t, c)
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() {
			_, err := db.Store.Update(t.Context(), c.ID, func(c client.Client) (client.Client, event.Event, error) {
				if len(c.Secrets) < client.MaxSecrets {
					c.Secrets = append(slices.Clone(c.Secrets), newSecret(time.Duration(i)*time.Second))
				}
				c.Name += "x"
				c.Revision++
				return c, did("client.updated", c.ID), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	got, err := db.Store.Get(t.Context(), c.ID)
	check.NoError(t, err)
	if got.Name != "axxxxxxxx" || got.Revision != 1+callers || len(got.Secrets) != client.MaxSecrets {
		t.Fatalf("after %d updates: %+v", callers, got)
	}
}

func pages(t *testing.T, db Database) {
	var want []string
	for i := range 5 {
		c := newClient(strconv.Itoa(i))
		c.CreateTime = epoch().Add(time.Duration(i/2) * time.Microsecond)
		db.stored(t, c)
		want = append(want, c.CreateTime.String()+c.ID)
	}
	slices.Sort(want)
	for _, size := range []int{1, 2, 5, 6} {
		var got []string
		var after *resource.Cursor
		for {
			page, err := db.Store.List(t.Context(), resource.Query{After: after, Limit: size})
			check.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				got = append(got, c.CreateTime.String()+c.ID)
				db.wantStored(t, c)
			}
			end := page[len(page)-1].Cursor()
			after = &end
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pages of %d: got\n%v, want\n%v", size, got, want)
		}
	}
}

func deleted(id string) func(client.Client) (event.Event, error) {
	return func(client.Client) (event.Event, error) { return did("client.deleted", id), nil }
}

func remove(t *testing.T, db Database) {
	c, bystander := db.stored(t, newClient("a")), db.stored(t, newClient("b"))
	check.NoError(t, db.Store.Delete(t.Context(), c.ID, epoch(), deleted(c.ID)))
	_, err := db.Store.Get(t.Context(), c.ID)
	wantError(t, err, client.ErrNotFound)
	db.wantStored(t, bystander)
	db.wantRecorded(t, c.ID, "created", "deleted")
	db.stored(t, c) // its secrets would be in the way
}

// R22: the sessions of a client end with it, those of others do not.
func removeSessions(t *testing.T, db Database) {
	c, bystander := db.stored(t, newClient("a")), db.stored(t, newClient("b"))
	first, second := db.Session(t, c.ID), db.Session(t, c.ID)
	db.Session(t, bystander.ID)
	check.NoError(t, db.Store.Delete(t.Context(), c.ID, epoch(), deleted(c.ID)))
	got := db.Announced(t)
	for _, id := range []string{first, second} {
		if !got[id].Equal(epoch()) {
			t.Errorf("the end of session %s is announced until %v, want %v", id, got[id], epoch())
		}
	}
	if len(got) != 2 {
		t.Errorf("%d sessions ended, want the client's 2", len(got))
	}
}

func removeRefused(t *testing.T, db Database) {
	c := db.stored(t, newClient("a"))
	refusal := apierr.New(apierr.Aborted, "REFUSED", "no")
	wantError(t, db.Store.Delete(t.Context(), c.ID, epoch(), func(shown client.Client) (event.Event, error) {
		if !reflect.DeepEqual(shown, c) {
			t.Errorf("shown %+v, want %+v", shown, c)
		}
		return event.Event{}, refusal
	}), refusal)
	db.wantStored(t, c)
	db.wantRecorded(t, c.ID, "created")
}

// Of several who delete at once one did it, and only that one leaves an event.
func removeByRivals(t *testing.T, db Database) {
	c := db.stored(t, newClient("a"))
	errs := make([]error, 4)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { errs[i] = db.Store.Delete(t.Context(), c.ID, epoch(), deleted(c.ID)) })
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantError(t, err, client.ErrNotFound)
	}
	if won != 1 {
		t.Fatalf("deleted %d times, want once", won)
	}
	db.wantRecorded(t, c.ID, "created", "deleted")
}

func origins(t *testing.T, db Database) {
	wantOrigins(t, db)
	a, b := newClient("a"), newClient("b")
	a.WebOrigins = []string{"https://b.example.com", "https://a.example.com"}
	b.WebOrigins, b.Scopes = []string{"http://localhost:3000", "https://a.example.com"}, []string{client.ScopeOpenID, client.ScopePlatform}
	db.stored(t, newPublic())
	db.stored(t, a)
	db.stored(t, b)
	wantOrigins(t, db,
		client.Origin{Origin: "http://localhost:3000", PlatformAPI: true},
		client.Origin{Origin: "https://a.example.com", PlatformAPI: true}, // of either client
		client.Origin{Origin: "https://b.example.com"})
	check.NoError(t, db.Store.Delete(t.Context(), b.ID, epoch(), deleted(b.ID)))
	wantOrigins(t, db, client.Origin{Origin: "https://a.example.com"}, client.Origin{Origin: "https://b.example.com"})
}

func wantOrigins(t *testing.T, db Database, want ...client.Origin) {
	t.Helper()
	got, err := db.Store.Origins(t.Context())
	check.NoError(t, err)
	if !slices.Equal(got, want) {
		t.Fatalf("the origins are\n%v, want\n%v", got, want)
	}
}

// R68: a change that is not recorded does not happen.
func unrecorded(t *testing.T, db Database) {
	lost := newClient("lost")
	if err := db.Store.Create(t.Context(), lost, event.Event{}); err == nil {
		t.Error("a client is created without an event")
	}
	_, err := db.Store.Get(t.Context(), lost.ID)
	wantError(t, err, client.ErrNotFound)
	c := db.stored(t, newClient("a"))
	if _, err := db.Store.Update(t.Context(), c.ID, func(c client.Client) (client.Client, event.Event, error) {
		c.Name, c.Secrets, c.Revision = "b", nil, 2
		return c, event.Event{}, nil
	}); err == nil {
		t.Error("a client is changed without an event")
	}
	if err := db.Store.Delete(t.Context(), c.ID, epoch(), func(client.Client) (event.Event, error) { return event.Event{}, nil }); err == nil {
		t.Error("a client is deleted without an event")
	}
	db.wantStored(t, c)
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
