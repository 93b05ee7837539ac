package crash_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// exactly compares what each follower was told with what there is: no gap, nothing twice, in order.
// The followers began somewhere between the two positions of the trail.
func (w *world) exactly(t *testing.T, all map[string]*follower, began, begun int64, leaver *user) {
	t.Helper()
	trail := func(actor string) events { return w.trail(t, actor, began, begun) }
	everybody, ours := w.list(t, ""), w.list(t, w.users[0].organization)
	compare := map[string]func([]message) error{
		"the trail": trail("").all, "the trail as records": trail("").all, "one's own trail": trail(w.users[0].id).all,
		"the auditor's trail": trail("").some, "the trail of who leaves": trail(leaver.id).some,
		"all users": everybody.all, "all users as records": everybody.all, "one's own organization": ours.all,
	}
	for name, f := range all {
		if err := settled(func() error {
			_, _, told, _ := f.state()
			return compare[name](told)
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		heard, opened, told, broke := f.state()
		t.Logf("%s: %d messages, %d of them news, in %d streams, which ended with %v", name, heard, len(told), opened, broke)
		for why := range broke {
			if why != "the connection" && !strings.HasPrefix(why, "503 ") {
				t.Errorf("%s was told %s", name, why)
			}
		}
		if want := 1 + 2*2; opened < want { // its service and the gateway were ended twice
			t.Errorf("%s was opened %d times, want %d at least", name, opened, want)
		}
	}
}

// settled is the last error of try, which is given some seconds to return nil.
func settled(try func() error) error {
	over := time.After(15 * time.Second)
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-over:
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// events are the trail from a position on, and how many of them may have been there before a
// follower was.
type events struct {
	ids  []string
	late int
}

// trail is what followers of somebody's events, or of all, are to be told.
func (w *world) trail(t *testing.T, actor string, began, begun int64) events {
	t.Helper()
	type row struct {
		ID   string
		Late bool
	}
	var e events
	for _, r := range rows[row](t, w, `
		select id::text, position <= $2 from audit.events where position > $1 and ($3 = '' or actor_id = $3) order by position`, began, begun, actor) {
		e.ids = append(e.ids, r.ID)
		if r.Late {
			e.late++
		}
	}
	return e
}

// all is an error unless every event was told once and in order.
func (e events) all(told []message) error { return e.compare(told, false) }

// some is that for a follower that ended before the others.
func (e events) some(told []message) error { return e.compare(told, true) }

func (e events) compare(told []message, early bool) error {
	ids := make([]string, len(told))
	for i, m := range told {
		if m.Event == nil {
			return fmt.Errorf("message %d is not of an event: %+v", i, m)
		}
		ids[i] = m.Event.ID
	}
	for late := range e.late + 1 {
		want := e.ids[late:]
		if early {
			want = want[:min(len(want), len(ids))]
		}
		if len(ids) > 0 && slices.Equal(ids, want) {
			return nil
		}
	}
	seen := map[string]int{}
	for _, id := range ids {
		seen[id]++
	}
	for i, id := range e.ids[e.late:] {
		if seen[id] != 1 && !early {
			return fmt.Errorf("event %d of %d, %s, was told %d times, %d events in all", i, len(e.ids)-e.late, id, seen[id], len(ids))
		}
	}
	return fmt.Errorf("of %d events %d were told, in another order or beside them", len(e.ids), len(ids))
}

// listed are users as they are, and who was deleted.
type listed struct {
	users map[string]told
	gone  map[string]bool
}

// list is how the users of an organization, or of all, are to be told in the end.
func (w *world) list(t *testing.T, organization string) listed {
	t.Helper()
	l := listed{users: map[string]told{}, gone: map[string]bool{}}
	for token, first := "", true; first || token != ""; first = false {
		query := url.Values{"page_size": {"1000"}, "page_token": {token}}
		if organization != "" {
			query.Set("organization_id", organization)
		}
		status, page, _, err := w.call(t.Context(), "GET", "/api/v1/users?"+query.Encode(), w.admin, nil)
		if err != nil || status != 200 {
			t.Fatalf("the list of users: %d %v %v", status, page, err)
		}
		users, _ := page["users"].([]any)
		for _, one := range users {
			u, _ := one.(map[string]any)
			id, _ := u["id"].(string)
			l.users[id] = told{ID: id, Etag: fmt.Sprint(u["etag"]), Name: fmt.Sprint(u["display_name"])}
		}
		token, _ = page["next_page_token"].(string)
	}
	type row struct{ ID string }
	for _, r := range rows[row](t, w, `
		select id::text from (
			select id, organization_id from identity.deleted_users union all
			select id, organization_id from identity.users where state = 'deleting') as gone
		where $1 = '' or organization_id::text = $1`, organization) {
		l.gone[r.ID] = true
	}
	return l
}

// all is an error unless each user was told as it is, no state was told twice, and each that is
// gone was told to be so once, and last.
func (l listed) all(messages []message) error {
	last, gone, states := map[string]told{}, map[string]bool{}, map[string]bool{}
	for i, m := range messages {
		switch {
		case m.User != nil && (states[m.User.Etag] || gone[m.User.ID] || last[m.User.ID].ID != "" && last[m.User.ID].number() >= m.User.number()):
			return fmt.Errorf("message %d tells %+v again, after a later state or after its deletion", i, *m.User)
		case m.User != nil:
			last[m.User.ID], states[m.User.Etag] = *m.User, true
		case m.Deleted == nil || gone[m.Deleted.ID]:
			return fmt.Errorf("message %d tells a deletion again, or nothing: %+v", i, m.Deleted)
		default:
			gone[m.Deleted.ID] = true
			delete(last, m.Deleted.ID)
		}
	}
	for id, want := range l.users {
		if got := last[id]; got != want {
			return fmt.Errorf("user %s was told as %+v, and is %+v", id, got, want)
		}
	}
	for id := range l.gone {
		if !gone[id] {
			return fmt.Errorf("the deletion of %s was not told", id)
		}
	}
	if len(last) != len(l.users) || len(gone) != len(l.gone) {
		return fmt.Errorf("%d users and %d deletions were told, of %d and %d", len(last), len(gone), len(l.users), len(l.gone))
	}
	return nil
}
