package outbox_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
	"github.com/gatehouse/gatehouse/internal/testkit/golden"
)

// Rows of both topics that were stored before are read after.
func TestRowsOfBefore(t *testing.T) {
	pool, _ := open(t)
	var stored []outbox.Message
	if err := json.Unmarshal([]byte(golden.Read(t, "outbox.json")), &stored); err != nil {
		t.Fatal(err)
	}
	for _, m := range stored {
		_, err := pool.Exec(t.Context(), `
			insert into boxes.outbox (id, topic, key, payload) values (@outbox_id, @outbox_topic, @outbox_key, @outbox_payload)`, m.Args())
		if err != nil {
			t.Fatal(err)
		}
	}
	golden.Check(t, "outbox.golden", outboxtest.Rows(t, pool, schema))
	if changes := outboxtest.Relationships(t, pool, schema); len(changes) == 0 {
		t.Error("no change of relationships was read")
	}
}

// refusal is a row of the table of refusals.
type refusal struct {
	Minute   time.Time
	Action   string
	Method   string
	Reason   string
	Key      string
	Count    int64
	LastTime time.Time
	Common   json.RawMessage
}

// Refusals that were counted before make their events after.
func TestRefusalsOfBefore(t *testing.T) {
	pool, _ := open(t)
	var stored []refusal
	if err := json.Unmarshal([]byte(golden.Read(t, "refusals.json")), &stored); err != nil {
		t.Fatal(err)
	}
	for _, r := range stored {
		_, err := pool.Exec(t.Context(), `
			insert into boxes.refusals (minute, action, method, reason, key, count, last_time, common)
			values (@minute, @action, @method, @reason, @key, @count, @last_time, @common)`,
			pgx.StrictNamedArgs{
				"minute": r.Minute, "action": r.Action, "method": r.Method, "reason": r.Reason, "key": r.Key, "count": r.Count,
				"last_time": r.LastTime, "common": r.Common,
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := outboxtest.Refusals(t, outboxtest.Fixed(t, pool, schema)).FlushRefusals(t.Context()); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "refusals.golden", outboxtest.Rows(t, pool, schema))
}
