package postgres_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/testkit/check"
	"github.com/gatehouse/gatehouse/services/audit/internal/postgres"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail"
	"github.com/gatehouse/gatehouse/services/audit/internal/trail/trailtest"
)

// park puts an event where Audit leaves those of its own that it will never accept.
func (k keeping) park(t *testing.T, e trail.Entry) {
	t.Helper()
	_, err := k.owner.Exec(t.Context(), "insert into audit.outbox (id, topic, key, payload, park_time) values (gen_random_uuid(), 'audit', 'k', $1, now())",
		event.MarshalSealed(e.Sealed))
	check.NoError(t, err)
}

// When retention has removed the events that said whose an address is, it is found by itself: in
// every table, in longer texts, and in what is left of events that are gone.
func TestErasureByAddressLeavesNothing(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	const address, place = "ada+x@planted.example", "203.0.113.77"
	kept(t, k.store, []trail.Entry{
		daysAgo(t, 40, acme, func(e *event.Event) { e.ObjectID, e.Changes = ada, event.PersonalTexts("email", address) }),
		did(t, "", "session", "", place, "email", strings.ToUpper(address)),
		did(t, grace, "organization", acme, "198.51.100.1", "display_name", "Planted <"+address+">."),
		did(t, grace, "organization", acme, "198.51.100.1", "note", "to:\n"+address+"\nand others"),
		did(t, grace, "user", grace, "198.51.100.1", "email", "grace.ada+x@planted.example"), // others'
		did(t, grace, "user", grace, "198.51.100.1", "email", address+".org"),
		did(t, grace, "user", grace, "198.51.100.1", "email", "x"+address),
		daysAgo(t, 0, ""),
	}, trail.Kept)
	check.NoError(t, k.store.BringNames(t.Context()))
	k.retain(t, "", trail.Changes, 30)
	if done := k.keep(t); done.Events != 1 {
		t.Fatalf("%+v", done)
	}
	k.park(t, did(t, grace, "user", "", "198.51.100.2", "email", address))
	for _, sql := range []string{ // as nothing leaves them
		`insert into audit.personal_values values (1, 'email', repeat('x', 16)::bytea, '"ada+x@planted.example"')`,
		"insert into audit.names (position, field, word, time, actor_id, object_id) values (1, 'name', 'x@planted.example', now(), '', ''), (1, 'name', 'ada', now(), '', '" + ada + "')",
	} {
		_, err := k.owner.Exec(t.Context(), sql)
		check.NoError(t, err)
	}
	done, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: ada, Addresses: []string{"Ada+X@planted.example"}, Reason: "she asked"})
	if err != nil || done != (postgres.Erased{Values: 6}) {
		t.Errorf("erased %+v, %v", done, err)
	}
	for _, text := range []string{`"` + address + `"`, strings.ToUpper(address), "<" + address, `\n` + address, place, "198.51.100.2"} {
		places := everywhere(t, k, []string{text})
		if want := map[string]int{"198.51.100.2": 1}[text]; len(places) != want { // where another one was
			t.Errorf("of %s is left %v", text, places)
		}
	}
	var words int
	check.NoError(t, k.owner.QueryRow(t.Context(), "select count(*) from audit.names where position < 5").Scan(&words))
	if others := everywhere(t, k, []string{"grace.ada+x@", address + ".org", "xada+x@"}); words != 0 || len(others) < 6 {
		t.Errorf("%d words are left, and of others %v", words, others)
	}
	_, err = k.owner.Exec(t.Context(), "delete from audit.outbox where park_time is not null")
	check.NoError(t, err)
	if got := k.recorded(t); !strings.Contains(got, "audit.personal_values_erased user:"+ada+` values=6 held=0 reason="she asked"`) {
		t.Errorf("recorded is\n%s", got)
	}
}

// Who is known by an address alone is erased as well; what is no address, or nobody, is refused.
func TestErasureOfAnAddressAlone(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	kept(t, k.store, []trail.Entry{did(t, "", "session", "", "203.0.113.77", "email", "ada@planted.example")}, trail.Kept)
	for range 2 {
		if _, err := k.upkeep.Erase(t.Context(), postgres.Erasure{Addresses: []string{"ada@planted.example"}, Reason: "she asked"}); err != nil {
			t.Error(err)
		}
		if places := everywhere(t, k, []string{"planted", "203.0.113.77"}); len(places) > 0 {
			t.Errorf("left is %v", places)
		}
	}
	if got := k.recorded(t); !strings.HasPrefix(got, `audit.personal_values_erased audit_trail: values=2 held=0 reason="she asked"`) {
		t.Errorf("recorded is\n%s", got)
	}
	for _, bad := range []string{"", "@", "ada", "@example.com", "ada@", " ada@example.com"} {
		if _, err := k.upkeep.Erase(t.Context(), postgres.Erasure{Addresses: []string{bad}, Reason: "r"}); err == nil || !strings.Contains(err.Error(), "no mail address") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A hold keeps what it means wherever it is, by whatever an erasure finds it.
func TestHoldsBeatErasureEverywhere(t *testing.T) {
	t.Parallel()
	k := newKeeping(t)
	const address = "ada@planted.example"
	held := did(t, "", "user", ada, "203.0.113.77", "email", address)
	kept(t, k.store, []trail.Entry{held, did(t, "", "session", "", "203.0.113.78", "email", address)}, trail.Kept)
	k.park(t, held)
	k.park(t, trailtest.Entry(t, trailtest.Event(func(e *event.Event) {
		e.Time, e.OrganizationID, e.ObjectID = time.Now(), other, ada
		e.Changes = []event.Change{{Field: "email", Value: json.RawMessage(`"second@planted.example"`), Personal: true}}
	})))
	id, err := k.upkeep.SetHold(t.Context(), trail.Hold{OrganizationID: acme, SubjectID: ada, Reason: "a case"})
	check.NoError(t, err)
	erase := func(want postgres.Erased, left int) {
		t.Helper()
		done, err := k.upkeep.Erase(t.Context(), postgres.Erasure{UserID: ada, Addresses: []string{address}, Reason: "she asked"})
		if places := everywhere(t, k, []string{"@planted.example"}); err != nil || done != want || len(places) != left {
			t.Errorf("erased %+v, %v; left is %v", done, err, places)
		}
	}
	erase(postgres.Erased{Values: 3, Held: 4}, 2)
	check.NoError(t, k.upkeep.LiftHold(t.Context(), id, "closed"))
	erase(postgres.Erased{Values: 4}, 0)
}
