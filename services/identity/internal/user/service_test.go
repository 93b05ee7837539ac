package user_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/organization"
	"github.com/gatehouse/gatehouse/services/identity/internal/postgres/postgrestest"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
	"github.com/gatehouse/gatehouse/services/identity/internal/user/usertest"
)

// world is the rules over a real database, with Auth's side and the clock in the test's hand.
type world struct {
	*user.Service
	pool          *pgxpool.Pool
	database      postgrestest.Database
	stores        usertest.Plain
	organizations *organization.Service
	departures    *departures
	logins        *logins
	auth          *inviter
	clock         *clock
}

func newWorld(t *testing.T) world {
	d := postgrestest.New(t)
	w := world{pool: d.Pool, database: d, stores: usertest.Plain{Store: d.Users, DeletionStore: d.Users}, departures: &departures{}, logins: &logins{}, auth: &inviter{}, clock: &clock{now: time.Date(2031, 1, 1, 0, 0, 0, 123456789, time.UTC)}}
	w.organizations = organization.NewService(d.Organizations, w.clock.Now)
	w.Service = user.NewService(user.Params{
		Store: w.stores.Store, Deletions: w.stores.DeletionStore, Standings: d.Users, Departures: w.departures, Logins: w.logins, Invitations: w.auth, InvitationStore: d.Users, Now: w.clock.Now, NewID: uuid.NewString,
	})
	return w
}

func (w world) created(t *testing.T) user.User {
	t.Helper()
	u, _, err := w.Register(drafted(t), user.New{ID: uuid.NewString(), Email: "ada@example.com", DisplayName: "Ada"})
	check.NoError(t, err)
	return u
}

// drafted is the context of a request whose change is audited.
func drafted(t *testing.T) context.Context {
	t.Helper()
	return postgrestest.Drafted(t.Context(), "user.tested", "user")
}

// remove deletes a user as its own organization does.
func (w world) remove(ctx context.Context, u user.User, tag string) error {
	_, err := w.Delete(ctx, user.In(u.OrganizationID), u.ID, tag)
	return err
}

// begin takes the first step of a deletion.
func (w world) begin(t *testing.T, u user.User) {
	t.Helper()
	_, _, err := w.stores.BeginDelete(drafted(t), user.In(u.OrganizationID), u.ID, w.clock.Now(), func(user.User, bool) error { return nil })
	check.NoError(t, err)
}

func (w world) wantGone(t *testing.T, u user.User) {
	t.Helper()
	_, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID)
	wantReason(t, err, apierr.NotFound, "USER_NOT_FOUND")
}

// wantRemoved fails unless the rows are gone, not just hidden.
func (w world) wantRemoved(t *testing.T, u user.User) {
	t.Helper()
	w.wantGone(t, u)
	_, err := w.organizations.Get(t.Context(), u.OrganizationID)
	wantReason(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
}

func TestRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	want := user.User{
		OrganizationID: u.OrganizationID, ID: u.ID, Email: "ada@example.com", DisplayName: "Ada", State: user.Active, Revision: 1,
		CreateTime: w.clock.Now().Truncate(time.Microsecond), UpdateTime: w.clock.Now().Truncate(time.Microsecond),
	}
	if u != want {
		t.Fatalf("got %+v, want %+v", u, want)
	}
	if got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID); err != nil || got != u {
		t.Fatalf("got %+v, %v; want what Register returned, %+v", got, err, u)
	}
	t.Run("again is the same", func(t *testing.T) {
		w.clock.add(time.Hour)
		again, _, err := w.Register(drafted(t), user.New{ID: u.ID, Email: u.Email, DisplayName: "Other"})
		if err != nil || again != u {
			t.Fatalf("got %+v, %v; want %+v", again, err, u)
		}
	})
	t.Run("again with another email", func(t *testing.T) {
		_, _, err := w.Register(drafted(t), user.New{ID: u.ID, Email: "b@example.com"})
		wantReason(t, err, apierr.AlreadyExists, "USER_ID_TAKEN")
	})
	t.Run("in an organization", func(t *testing.T) {
		joined, _, err := w.Register(drafted(t), user.New{ID: uuid.NewString(), OrganizationID: u.OrganizationID, Email: "b@example.com"})
		if err != nil || joined.OrganizationID != u.OrganizationID {
			t.Fatalf("got %+v, %v", joined, err)
		}
	})
}

func TestRegisterNamesThePersonalOrganization(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, want := range map[string]string{"Ada": "Ada", "": "Personal organization", "  ": "Personal organization"} {
		u, _, err := w.Register(drafted(t), user.New{ID: uuid.NewString(), Email: "ada@example.com", DisplayName: name})
		check.NoError(t, err)
		o, err := w.organizations.Get(t.Context(), u.OrganizationID)
		check.NoError(t, err)
		if o.DisplayName != want || !o.Personal {
			t.Errorf("the organization of %q is %+v, want %q", name, o, want)
		}
	}
}

func TestRegisterAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := uuid.NewString()
	var (
		wait  sync.WaitGroup
		mutex sync.Mutex
		wins  = map[string]int{} // by email
	)
	for i := range 8 {
		wait.Go(func() {
			u, _, err := w.Register(drafted(t), user.New{ID: id, Email: strconv.Itoa(i%2) + "@example.com"})
			if err != nil {
				if !errors.Is(err, apierr.New(apierr.AlreadyExists, "USER_ID_TAKEN", "")) {
					t.Error(err)
				}
				return
			}
			mutex.Lock()
			wins[u.Email]++
			mutex.Unlock()
		})
	}
	wait.Wait()
	if len(wins) != 1 || wins["0@example.com"]+wins["1@example.com"] != 4 {
		t.Fatalf("got %v, want four answers with one email", wins)
	}
	page, _, err := w.organizations.List(t.Context(), resource.Query{})
	if err != nil || len(page) != 1 {
		t.Fatalf("%d organizations are left (%v), want 1", len(page), err)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	name, zone, bad := "Ada L.", "Europe/London", "Mars/Base"
	changed, err := w.Update(drafted(t), user.In(u.OrganizationID), u.ID, u.ETag(), user.Changes{DisplayName: &name, TimeZone: &zone})
	check.NoError(t, err)
	if changed.DisplayName != name || changed.TimeZone != zone || changed.ETag() == u.ETag() || !changed.UpdateTime.After(u.UpdateTime) {
		t.Fatalf("got %+v", changed)
	}
	other := "Other"
	_, err = w.Update(drafted(t), user.In(u.OrganizationID), u.ID, u.ETag(), user.Changes{DisplayName: &other})
	wantReason(t, err, apierr.Aborted, "ETAG_MISMATCH")
	_, err = w.Update(drafted(t), user.In(u.OrganizationID), u.ID, "", user.Changes{DisplayName: &other, TimeZone: &bad})
	wantReason(t, err, apierr.InvalidArgument, "INVALID_ARGUMENT")
	if got, err := w.Get(t.Context(), user.In(u.OrganizationID), u.ID); err != nil || got != changed {
		t.Fatalf("refused updates left %+v (%v), want %+v", got, err, changed)
	}
}

// Of updates with the same etag exactly one is made.
func TestUpdateAtTheSameTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.created(t)
	var wait sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wait.Go(func() {
			name := strconv.Itoa(i)
			_, errs[i] = w.Update(drafted(t), user.In(u.OrganizationID), u.ID, u.ETag(), user.Changes{DisplayName: &name})
		})
	}
	wait.Wait()
	made := 0
	for _, err := range errs {
		if err == nil {
			made++
			continue
		}
		wantReason(t, err, apierr.Aborted, "ETAG_MISMATCH")
	}
	if made != 1 {
		t.Fatalf("%d of 8 updates were made, want 1", made)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.created(t)
	for i := range 2 {
		w.clock.add(time.Second)
		_, _, err := w.Register(drafted(t), user.New{
			ID: uuid.NewString(), OrganizationID: first.OrganizationID, Email: strconv.Itoa(i) + "@example.com",
		})
		check.NoError(t, err)
	}
	page, next, err := w.List(t.Context(), user.In(first.OrganizationID), resource.Query{Limit: 2})
	if err != nil || len(page) != 2 || page[0] != first || next == nil {
		t.Fatalf("got %v, %v, %v", page, next, err)
	}
	page, next, err = w.List(t.Context(), user.In(first.OrganizationID), resource.Query{Limit: 2, After: next})
	if err != nil || len(page) != 1 || next != nil {
		t.Fatalf("got %v, %v, %v", page, next, err)
	}
}

func TestOrganizationRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o, _, err := w.organizations.Create(drafted(t), uuid.NewString(), "Analytical")
	check.NoError(t, err)
	again, _, err := w.organizations.Create(drafted(t), o.ID, "Analytical")
	if err != nil || again != o {
		t.Fatalf("got %+v, %v; want %+v", again, err, o)
	}
	_, _, err = w.organizations.Create(drafted(t), o.ID, "Other")
	wantReason(t, err, apierr.AlreadyExists, "ORGANIZATION_ID_TAKEN")
	_, _, err = w.organizations.Create(drafted(t), w.created(t).OrganizationID, "Ada") // the same name, but somebody's personal one
	wantReason(t, err, apierr.AlreadyExists, "ORGANIZATION_ID_TAKEN")

	name := "Engine"
	changed, err := w.organizations.Update(drafted(t), o.ID, o.ETag(), organization.Changes{DisplayName: &name})
	if err != nil || changed.DisplayName != name || changed.ETag() == o.ETag() || !changed.UpdateTime.After(o.UpdateTime) {
		t.Fatalf("got %+v, %v", changed, err)
	}
	_, err = w.organizations.Update(drafted(t), o.ID, o.ETag(), organization.Changes{DisplayName: &o.DisplayName})
	wantReason(t, err, apierr.Aborted, "ETAG_MISMATCH")
	_, err = w.organizations.Delete(drafted(t), o.ID, o.ETag())
	wantReason(t, err, apierr.Aborted, "ETAG_MISMATCH")
	token, err := w.organizations.Delete(drafted(t), o.ID, changed.ETag())
	if err != nil || token == "" {
		t.Fatalf("got token %q, %v", token, err)
	}
	_, err = w.organizations.Delete(drafted(t), o.ID, "")
	wantReason(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
}

// clock stands still until the test moves it.
type clock struct {
	mutex sync.Mutex
	now   time.Time
}

func (c *clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = c.now.Add(d)
}

// logins is Auth, which fails as long as the test says so.
type logins struct {
	mutex   sync.Mutex
	err     error
	only    string // if set, err is for this user only
	called  func() // if set, runs inside each call
	removed map[string]int
	told    []user.Standing
}

// departures is Authz, as far as it is asked before deletions and suspensions.
type departures struct {
	called func(u user.User, ends bool) error // before anything else; nil for nothing
	mutex  sync.Mutex
	err    error
	asked  map[string]bool // by user: whether the organization goes too

	reserved []int64 // revisions of suspensions
	settled  []user.Standing
}

func (d *departures) Reserve(_ context.Context, u user.User, ends bool, _ event.Event) error {
	if d.called != nil {
		if err := d.called(u, ends); err != nil {
			return err
		}
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.asked == nil {
		d.asked = map[string]bool{}
	}
	d.asked[u.ID] = ends
	return d.err
}

func (l *logins) RemoveLogin(_ context.Context, userID string) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.called != nil {
		l.called()
	}
	if l.err != nil && (l.only == "" || l.only == userID) {
		return l.err
	}
	if l.removed == nil {
		l.removed = map[string]int{}
	}
	l.removed[userID]++
	return nil
}

func (l *logins) fail(err error, only string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.err, l.only = err, only
}

func (l *logins) count(userID string) int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.removed[userID]
}

func wantReason(t *testing.T, err error, kind apierr.Kind, reason string) {
	t.Helper()
	if !errors.Is(err, apierr.New(kind, reason, "")) {
		t.Fatalf("got error %v, want %s", err, reason)
	}
}
