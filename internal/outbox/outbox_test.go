package outbox_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/outbox/outboxtest"
)

func TestDDLHasTheShapeThatStoresAreCheckedFor(t *testing.T) {
	pool, _ := open(t)
	outboxtest.CheckSchema(t, pool, schema)
}

func TestAppendKeepsTheOrderOfItsMessages(t *testing.T) {
	pool, o := open(t)
	var messages []outbox.Message
	for i := range 100 {
		messages = append(messages, outbox.Message{ID: outboxtest.NewID(), Topic: "letters", Key: fmt.Sprint(i), Payload: []byte{byte(i)}})
	}
	if err := o.InTx(t.Context(), func(tx pgx.Tx) error { return o.Append(t.Context(), tx, messages...) }); err != nil {
		t.Fatal(err)
	}
	rows, err := pool.Query(t.Context(), `select key from boxes.outbox order by position`)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(keys) != 100 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	for i, key := range keys {
		if key != fmt.Sprint(i) {
			t.Fatalf("message %s stands at %d", key, i)
		}
	}
}
