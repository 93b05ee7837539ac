package crash_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"
)

// audit compares what was acknowledged and what is stored with the trail, and returns one sentence for each thing that is wrong.
func (w *world) audit(t *testing.T) []string {
	t.Helper()
	var wrong []string
	wrong = append(wrong, w.acknowledged(t)...)
	wrong = append(wrong, w.updates(t)...)
	wrong = append(wrong, w.sessions(t)...)
	wrong = append(wrong, w.commands(t)...)
	return append(wrong, w.grants(t)...)
}

// acknowledged: each acknowledged change has exactly one event.
func (w *world) acknowledged(t *testing.T) (wrong []string) {
	for action, ids := range w.acked {
		type count struct {
			RequestID string
			Events    int
		}
		events := map[string]int{}
		for _, c := range rows[count](t, w, `
			select request_id, count(*)::int from audit.events where action = $1 and outcome = 'success' group by request_id`, action) {
			events[c.RequestID] = c.Events
		}
		for _, id := range ids {
			if events[id] != 1 {
				wrong = append(wrong, fmt.Sprintf("%s %s was acknowledged and has %d events", action, id, events[id]))
			}
		}
	}
	return wrong
}

// updates: each committed update of a user, acknowledged or not, is one event, and the events are in the order of the commits.
func (w *world) updates(t *testing.T) (wrong []string) {
	for _, u := range w.users {
		type stored struct{ Revision int64 }
		type event struct{ Canonical []byte }
		revision := rows[stored](t, w, `select revision from identity.users where id = $1`, u.id)[0].Revision
		events := rows[event](t, w, `
			select canonical from audit.events where action = 'user.updated' and object_id = $1 and outcome = 'success' order by position`, u.id)
		if int64(len(events)) != revision-1 {
			wrong = append(wrong, fmt.Sprintf("user %s was changed %d times and has %d events", u.id, revision-1, len(events)))
		}
		type value struct{ Value string }
		last := 0
		for _, v := range rows[value](t, w, `
			select p.value from audit.events e join audit.personal_values p using (position)
			where e.action = 'user.updated' and e.object_id = $1 and p.field = 'user.display_name' order by e.position`, u.id) {
			var name string
			if err := json.Unmarshal([]byte(v.Value), &name); err != nil {
				t.Fatal(err)
			}
			n, err := strconv.Atoi(name)
			if err != nil || n <= last {
				wrong = append(wrong, fmt.Sprintf("the events of user %s are out of order: %q after %d", u.id, name, last))
			}
			last = n
		}
	}
	return wrong
}

// sessions: each session is one sign-in event.
func (w *world) sessions(t *testing.T) (wrong []string) {
	for _, u := range w.users {
		var sessions, events int
		err := w.query(t, fmt.Sprintf(`
			select (select count(*) from auth.sessions where user_id = '%[1]s')::int,
				(select count(*) from audit.events where action = 'auth.signed_in' and outcome = 'success' and object_id = '%[1]s')::int`, u.id), &sessions, &events)
		if err != nil {
			t.Fatal(err)
		}
		if sessions != events {
			wrong = append(wrong, fmt.Sprintf("user %s has %d sessions and %d sign-in events", u.id, sessions, events))
		}
	}
	return wrong
}

// commands: each applied command of Authz is one event, and no event lacks one.
func (w *world) commands(t *testing.T) (wrong []string) {
	var commands, events, without int
	err := w.query(t, `
		select (select count(*) from authz.commands where state = 'applied')::int,
			(select count(*) from audit.events where source = 'authz' and action = 'authz.relationships_written' and outcome = 'success')::int,
			(select count(*) from authz.commands c where state = 'applied' and not exists (select from audit.events e where e.id = c.event_id))::int`,
		&commands, &events, &without)
	if err != nil {
		t.Fatal(err)
	}
	if commands != events || without > 0 {
		wrong = append(wrong, fmt.Sprintf("%d commands were applied, %d have events, %d lack theirs", commands, events, without))
	}
	return wrong
}

// grants: what was last acknowledged of a role is what a check says.
func (w *world) grants(t *testing.T) (wrong []string) {
	for i, state := range w.granted {
		if state == "" {
			continue // the last answer was lost: either is right
		}
		answer := w.answered(t, "/api/v1/authz/check", w.admin, map[string]string{
			"subject": "user:" + w.users[i].id, "relation": "auditor", "object": "platform:gatehouse"})
		if answer["allowed"] != (state == "written") {
			wrong = append(wrong, fmt.Sprintf("role %d was last acknowledged %s, and a check says %v", i, state, answer["allowed"]))
		}
	}
	return wrong
}
