package user_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/resource"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/identity/internal/user"
)

// imported imports users into an organization.
func (w world) imported(t *testing.T, organizationID string, users ...user.Imported) ([]user.Verdict, string) {
	t.Helper()
	verdicts, token, err := w.Import(drafted(t), organizationID, users, false)
	check.NoError(t, err)
	return verdicts, token
}

// all are the users of an organization, by address.
func (w world) all(t *testing.T, organizationID string) map[string]user.User {
	t.Helper()
	page, _, err := w.List(t.Context(), user.In(organizationID), resource.Query{})
	check.NoError(t, err)
	all := map[string]user.User{}
	for _, u := range page {
		all[u.Email] = u
	}
	return all
}

// Users of an import are made as Create makes them, with the values that are given.
func TestImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.created(t)
	o := ada.OrganizationID
	verdicts, token := w.imported(t, o,
		user.Imported{Email: "Bob@Example.com", DisplayName: "Bob", Locale: "de-CH", TimeZone: "Europe/Zurich"}, user.Imported{Email: "c@example.com"})
	if !slices.Equal(verdicts, []user.Verdict{user.Made, user.Made}) || token == "" {
		t.Fatalf("got %v, token %q", verdicts, token)
	}
	now := w.clock.Now().Truncate(time.Microsecond)
	all := w.all(t, o)
	bob := all["bob@example.com"]
	want := user.User{
		OrganizationID: o, ID: bob.ID, Email: "bob@example.com", DisplayName: "Bob", Locale: "de-CH", TimeZone: "Europe/Zurich",
		State: user.Active, Revision: 1, CreateTime: now, UpdateTime: now,
	}
	if bob != want || all["c@example.com"].DisplayName != "" || len(all) != 3 {
		t.Errorf("stored %+v, want %+v", all, want)
	}
	if again, token := w.imported(t, o, user.Imported{Email: "c@example.com"}); again[0] != user.Existing || token != "" {
		t.Errorf("repeated: %v, token %q", again, token)
	}
}

// Who has an address already is what was asked for as long as every field that is given is equal;
// an import changes nobody.
func TestImportOfWhoIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.created(t).OrganizationID
	w.imported(t, o, user.Imported{Email: "bob@example.com", DisplayName: "Bob", Locale: "de", TimeZone: "UTC"})
	before := w.all(t, o)
	for name, c := range map[string]struct {
		asked user.Imported
		want  user.Verdict
	}{
		"nothing given":     {user.Imported{}, user.Existing},
		"all equal":         {user.Imported{DisplayName: "Bob", Locale: "de", TimeZone: "UTC"}, user.Existing},
		"another name":      {user.Imported{DisplayName: "Bobby", Locale: "de"}, user.Conflict},
		"another locale":    {user.Imported{Locale: "en"}, user.Conflict},
		"another time zone": {user.Imported{DisplayName: "Bob", TimeZone: "Europe/Zurich"}, user.Conflict},
	} {
		c.asked.Email = "BOB@example.com"
		if got, token := w.imported(t, o, c.asked); got[0] != c.want || token != "" {
			t.Errorf("%s: %v, token %q, want %v", name, got, token, c.want)
		}
	}
	if diff := cmp.Diff(before, w.all(t, o)); diff != "" {
		t.Errorf("imports changed users (-before +now):\n%s", diff)
	}
	t.Run("of two with one address the first counts", func(t *testing.T) {
		got, _ := w.imported(t, o, user.Imported{Email: "d@example.com", DisplayName: "D"}, user.Imported{Email: "D@example.com"},
			user.Imported{Email: "d@example.com", DisplayName: "E"})
		if !slices.Equal(got, []user.Verdict{user.Made, user.Existing, user.Conflict}) {
			t.Errorf("got %v", got)
		}
	})
}

// A message is stored as a whole or not at all.
func TestImportThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.created(t).OrganizationID
	_, _, err := w.Import(drafted(t), o, []user.Imported{
		{Email: "b@example.com"}, {Email: "c@example.com", Locale: "de_CH"}, {Email: "d@example.com", Locale: "?", TimeZone: "Mars/Base"},
	}, false)
	var e *apierr.Error
	if !errors.As(err, &e) || e.Kind != apierr.InvalidArgument {
		t.Fatalf("got %v", err)
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Path+" "+f.Rule)
	}
	if want := []string{"users[1].locale locale", "users[2].locale locale", "users[2].time_zone time_zone"}; !slices.Equal(got, want) {
		t.Errorf("violations %q, want %q", got, want)
	}
	_, _, err = w.Import(drafted(t), uuid.NewString(), []user.Imported{{Email: "b@example.com"}}, false)
	wantReason(t, err, apierr.NotFound, "ORGANIZATION_NOT_FOUND")
	if all := w.all(t, o); len(all) != 1 {
		t.Errorf("refused imports left %v", all)
	}
}

// Each user that an import makes is told to the trail with what was set of it, and of nobody else.
func TestImportIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.created(t).OrganizationID
	before := len(w.database.Events(t))
	set := func(field, value string) []event.Change {
		return []event.Change{{Field: field, Value: json.RawMessage(value)}}
	}
	w.imported(t, o, user.Imported{Email: "b@example.com", Changes: set("users.locale", `"de"`)}, user.Imported{Email: "ada@example.com"},
		user.Imported{Email: "c@example.com", Changes: set("users.locale", `"en"`)})
	events, all := w.database.Events(t)[before:], w.all(t, o)
	if len(events) != 2 {
		t.Fatalf("%d events, want one for each user that was made", len(events))
	}
	want := map[string]string{all["b@example.com"].ID: `"de"`, all["c@example.com"].ID: `"en"`}
	for _, e := range events {
		if len(e.Changes) != 1 || string(e.Changes[0].Value) != want[e.ObjectID] || e.OrganizationID != o {
			t.Errorf("told %+v, want the value %s alone", e, want[e.ObjectID])
		}
		delete(want, e.ObjectID)
	}
}
