package refusals_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/event"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/refusals"
	"github.com/gatehouse/gatehouse/internal/testkit/pgtest"
)

const schema = "boxes"

func open(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return pgtest.New(t, schema, fstest.MapFS{"001_create_outbox.sql": {Data: []byte(outbox.DDL(schema))}})
}

// clock is moved by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func at(t testing.TB, pool *pgxpool.Pool, c *clock) *refusals.Recorder {
	t.Helper()
	return refusals.New(box(t, pool, c))
}

func box(t testing.TB, pool *pgxpool.Pool, c *clock) *outbox.Outbox {
	t.Helper()
	o, err := outbox.New(outbox.Params{
		Pool: pool, Schema: schema, Source: schema, Now: c.Now, NewID: outboxtest.NewID, Random: rand.Reader,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func failed() event.Event {
	return event.Event{
		Action: "session.created", Method: "gatehouse.auth.v1.AuthService/SignIn", Outcome: event.Failure, Reason: "WRONG_CREDENTIALS",
		Caller: "gateway", Actor: event.Actor{Type: event.Anonymous}, ObjectType: "user", ObjectID: "user-1", RequestID: "request-1",
		Changes: []event.Change{{Field: "email", Value: json.RawMessage(`"a@example.org"`), Personal: true}},
	}
}

func refuse(t testing.TB, o *refusals.Recorder, e event.Event, key string) {
	t.Helper()
	if err := o.Refused(t.Context(), e, "", key); err != nil {
		t.Fatal(err)
	}
}

// R66: the first failure is an event at once; those that follow are one event with their count, after the minute and not before.
func TestRefusalsAreCountedByTheMinute(t *testing.T) {
	pool := open(t)
	c := newClock()
	o := at(t, pool, c)
	for i := range 5 {
		e := failed()
		e.RequestID = fmt.Sprint("request-", i)
		refuse(t, o, e, "user-1")
	}
	refuse(t, o, failed(), "user-2")
	events := outboxtest.Events(t, pool, schema)
	if len(events) != 2 || events[0].Count != 1 || events[0].RequestID != "request-0" || len(events[0].Changes) != 1 {
		t.Fatalf("at once: %+v, want the first of each key, as it was", events)
	}
	c.add(time.Minute)
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(outboxtest.Events(t, pool, schema)); n != 2 {
		t.Fatalf("%d events before every clock is past the minute, want 2", n)
	}
	c.add(time.Minute)
	for range 2 { // the second finds nothing
		if err := o.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	events = outboxtest.Events(t, pool, schema)
	if len(events) != 3 {
		t.Fatalf("%d events, want the repeats of one key as one more", len(events))
	}
	e := events[2]
	if e.Count != 4 || e.Outcome != event.Failure || e.Reason != "WRONG_CREDENTIALS" || e.ObjectID != "user-1" || e.Caller != "gateway" {
		t.Errorf("the repeats are %+v", e)
	}
	if e.RequestID != "" || len(e.Changes) > 0 {
		t.Errorf("the repeats say of all what is true of one: %+v", e)
	}
	if !e.Time.Equal(newClock().Now()) {
		t.Errorf("the repeats have the time %s, want that of the last of them", e.Time)
	}
	refuse(t, o, failed(), "user-1")
	if n := len(outboxtest.Events(t, pool, schema)); n != 4 {
		t.Errorf("%d events: the first of the next minute is none at once", n)
	}
}

// What differs between refusals of one kind is left out of the event with their count, whichever transaction they came in.
func TestRepeatsSayOnlyWhatAllHaveInCommon(t *testing.T) {
	pool := open(t)
	c := newClock()
	o := at(t, pool, c)
	denied := func(user, object string) event.Event {
		return event.Event{
			Action: "permission.denied", Method: "gatehouse.test.v1.TestService/Change", Outcome: event.Denied, Reason: "PERMISSION_DENIED",
			Actor: event.Actor{Type: event.User, ID: user, SessionID: "session-" + user}, ObjectType: "thing", ObjectID: object,
		}
	}
	for _, object := range []string{"1", "2", "3"} {
		refuse(t, o, denied("anna", object), "same actor")
	}
	for _, user := range []string{"anna", "bert", "bert"} {
		refuse(t, o, denied(user, "1"), "same object")
	}
	c.add(2 * time.Minute)
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := outboxtest.Events(t, pool, schema)
	if len(events) != 4 {
		t.Fatalf("%d events, want 4", len(events))
	}
	for _, e := range events[2:] {
		actor, object := e.Actor.ID == "anna" && e.ObjectID == "", e.Actor == event.Actor{Type: event.Anonymous} && e.ObjectID == "1"
		if actor == object || e.Count != 2 || e.ObjectType != "thing" {
			t.Errorf("repeats %+v", e)
		}
	}
}

// Counts stand in the table: another instance makes the event of what a killed one has counted.
func TestCountsSurviveTheirProcess(t *testing.T) {
	pool := open(t)
	c := newClock()
	killed := at(t, pool, c)
	for range 3 {
		refuse(t, killed, failed(), "user-1")
	}
	c.add(2 * time.Minute)
	if err := at(t, pool, c).Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if events := outboxtest.Events(t, pool, schema); len(events) != 2 || events[1].Count != 2 {
		t.Errorf("%+v, want the first and its two repeats", events)
	}
}

// R66: an attacker cannot fill the log. Two instances meet 3,000 concurrent failures; none is miscounted.
func TestAFloodIsCountedExactly(t *testing.T) {
	pool := open(t)
	c := newClock()
	instances := []*refusals.Recorder{at(t, pool, c), at(t, pool, c)}
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			for j := range 10 {
				if err := instances[i%2].Refused(t.Context(), failed(), "", fmt.Sprint("key-", (i+j)%7)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c.add(2 * time.Minute)
	if err := instances[0].Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	events := outboxtest.Events(t, pool, schema)
	var sum int64
	for _, e := range events {
		sum += e.Count
	}
	if sum != 3000 || len(events) != 14 {
		t.Errorf("%d events count %d refusals, want 14 that count 3,000", len(events), sum)
	}
}

// An attacker who makes up keys gets 1,000 of them a minute; the rest is one.
func TestKeysOfAMinuteAreCapped(t *testing.T) {
	pool := open(t)
	c := newClock()
	o := at(t, pool, c)
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := range 150 {
				if err := o.Refused(t.Context(), failed(), "", fmt.Sprint(w, " ", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	other := failed()
	other.Action = "token.refreshed" // another action has keys of its own
	refuse(t, o, other, "new")
	for sql, want := range map[string]int{
		`select count(*) from boxes.refusals where action = 'session.created'`:    1001,
		`select count from boxes.refusals where key = 'other'`:                    499,
		`select count(*) from boxes.refusals where action <> 'session.created'`:   1,
		`select count(*) from boxes.refusals where key = 'stranger new'`:          1,
		`select count(*) from boxes.outbox`:                                       1002,
		`select count(*) from boxes.refusals where key <> 'other' and count <> 0`: 0,
	} {
		var got int
		if err := pool.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %d (%v), want %d", sql, got, err, want)
		}
	}
	c.add(time.Minute)
	refuse(t, o, failed(), "fresh")
	var n int
	if err := pool.QueryRow(t.Context(), `select count(*) from boxes.refusals where key = 'stranger fresh'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("the next minute has no keys of its own: %d, %v", n, err)
	}
}

// R90: what strangers are refused, however often and under however many names, hides nothing that
// is done to an account.
func TestAnAccountIsNotFoldedWithStrangers(t *testing.T) {
	pool := open(t)
	c := newClock()
	o := at(t, pool, c)
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := range 105 {
				stranger := failed()
				stranger.ObjectID = ""
				if err := o.Refused(t.Context(), stranger, "", fmt.Sprint(w, " ", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for range 8 {
		if err := o.Refused(t.Context(), failed(), "user:user-1", ""); err != nil {
			t.Fatal(err)
		}
	}
	c.add(2 * time.Minute)
	if err := o.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var strangers, account int64
	for _, e := range outboxtest.Events(t, pool, schema) {
		if e.ObjectID == "user-1" {
			account += e.Count
		} else {
			strangers += e.Count
		}
	}
	if account != 8 || strangers != 1050 {
		t.Errorf("the account has %d refusals, want 8; strangers %d, want 1050", account, strangers)
	}
}

// What cannot be recorded is said: the caller decides (R68). What nobody can record does not spoil the group it is in.
func TestRefusedSaysWhenItFails(t *testing.T) {
	pool := open(t)
	o := at(t, pool, newClock())
	if err := o.Refused(t.Context(), event.Event{Outcome: event.Failure}, "", "key"); err == nil {
		t.Error("an event that says nothing was recorded")
	}
	e := failed()
	e.ObjectID, e.RequestID = "nul\x00 and \xff", "line\nend"
	refuse(t, o, e, "nul\x00 and \xff")
	if events := outboxtest.Events(t, pool, schema); len(events) != 1 || events[0].ObjectID != "nul and " {
		t.Errorf("%+v: texts are not cleaned", events)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Refused(gone, failed(), "", "left"); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	pgtest.EventuallyCounts(t, pool, "refusals of a client that left", `select count(*) from boxes.refusals where key = 'stranger left'`, 1)
	if _, err := pool.Exec(t.Context(), `drop table boxes.refusals`); err != nil {
		t.Fatal(err)
	}
	if err := o.Refused(t.Context(), failed(), "", "key"); err == nil {
		t.Error("no error although nothing was written")
	}
}

// The relay makes the events of minutes that are over.
func TestRelayFlushesRefusals(t *testing.T) {
	pool := open(t)
	c := newClock()
	o := box(t, pool, c)
	r := refusals.New(o)
	refuse(t, r, failed(), "user-1")
	refuse(t, r, failed(), "user-1")
	c.add(2 * time.Minute)
	arrived := make(chan int, 10)
	relay, err := outbox.NewRelay(outbox.RelayParams{Outbox: o, Housekeeping: r.Flush, Routes: []outbox.Route{{
		Topic: audit.Topic, Deliver: func(_ context.Context, batch []outbox.Message) ([]outbox.Poison, error) {
			arrived <- len(batch)
			return nil, nil
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { relay.Run(running) })
	defer wg.Wait()
	defer stop()
	for n := 0; n < 2; {
		select {
		case more := <-arrived:
			n += more
		case <-time.After(30 * time.Second):
			t.Fatalf("%d events arrived, want 2", n)
		}
	}
	pgtest.EventuallyCounts(t, pool, "refusals", `select count(*) from boxes.refusals`, 0)
}
