package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
)

// This file takes the place of internal/outbox/append.go in the build that the crash test must find
// wrong (overlay.json). It is what a service without an outbox does: what a transaction has to tell
// is written a moment after its commit, on its own. A crash in between loses it.

// late is how long events wait in memory; writing them in batches would be a reason for it.
const late = 200 * time.Millisecond

const insertSQL = `
	insert into {schema}.outbox (id, topic, key, payload)
	values (@outbox_id, @outbox_topic, @outbox_key, @outbox_payload)`

const insertManySQL = insertSQL

// transaction keeps what is told until it has ended.
type transaction struct {
	pgx.Tx

	messages []Message
}

// InTx is pg.InTx on the pool; what was appended is stored some time after the commit.
func (o *Outbox) InTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	var told []Message
	err := pg.InTx(ctx, o.Pool, func(tx pgx.Tx) error {
		t := &transaction{Tx: tx}
		err := fn(t)
		told = t.messages
		return err
	})
	if err == nil {
		time.AfterFunc(late, func() { o.store(told) })
	}
	return err
}

func (o *Outbox) store(messages []Message) {
	for _, m := range messages {
		if _, err := o.Pool.Exec(context.Background(), o.sql.insert, m.Args()); err != nil {
			o.Log.Error("an event is lost", "id", m.ID, "error", err.Error())
		}
	}
	o.Wake()
}

// Append keeps messages in memory. Outside of InTx they are stored as they always are.
func (o *Outbox) Append(ctx context.Context, tx pgx.Tx, messages ...Message) error {
	if t, ok := tx.(*transaction); ok {
		t.messages = append(t.messages, messages...)
		return nil
	}
	for _, m := range messages {
		if _, err := tx.Exec(ctx, o.sql.insert, m.Args()); err != nil {
			return fmt.Errorf("append to outbox: %w", err)
		}
	}
	return nil
}
