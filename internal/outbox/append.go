package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse/gatehouse/internal/pg"
)

const insertSQL = `
	insert into {schema}.outbox (id, topic, key, payload)
	values (@outbox_id, @outbox_topic, @outbox_key, @outbox_payload)`

const insertManySQL = `
	insert into {schema}.outbox (id, topic, key, payload)
	select id::uuid, topic, key, payload
	from unnest(@ids::text[], @topics::text[], @keys::text[], @payloads::bytea[]) with ordinality as m (id, topic, key, payload, place)
	order by place`

// InTx is pg.InTx on the pool; after the commit the relay is woken.
func (o *Outbox) InTx(ctx context.Context, fn func(tx pgx.Tx) error) error {
	err := pg.InTx(ctx, o.Pool, fn)
	if err == nil {
		o.Wake()
	}
	return err
}

// Append appends messages in their order.
func (o *Outbox) Append(ctx context.Context, tx pgx.Tx, messages ...Message) error {
	var err error
	switch len(messages) {
	case 0:
	case 1:
		_, err = tx.Exec(ctx, o.sql.insert, messages[0].Args())
	default:
		args := columns(messages)
		_, err = tx.Exec(ctx, o.sql.insertMany, args)
	}
	if err != nil {
		return fmt.Errorf("append to outbox: %w", err)
	}
	return nil
}

func columns(messages []Message) pgx.StrictNamedArgs {
	n := len(messages)
	ids, topics, keys, payloads := make([]string, n), make([]string, n), make([]string, n), make([][]byte, n)
	for i, m := range messages {
		ids[i], topics[i], keys[i], payloads[i] = m.ID, m.Topic, m.Key, m.Payload
	}
	return pgx.StrictNamedArgs{"ids": ids, "topics": topics, "keys": keys, "payloads": payloads}
}
