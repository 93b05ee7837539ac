package outbox

import (
	"context"
	_ "embed" // the tables
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
)

//go:embed outbox.sql
var tables string

var plainName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// DDL returns the statements that make the tables in a schema.
func DDL(schema string) string { return strings.ReplaceAll(tables, "{schema}", schema) }

// Params is what an Outbox is made of; all are needed.
type Params struct {
	Pool   *pgxpool.Pool
	Schema string // of the tables
	Source string // mesh name of this program: events speak for it only
	Now    func() time.Time
	NewID  func() string // UUIDs, version 7
	Random io.Reader     // salts
	Log    *slog.Logger
}

// Outbox appends to the tables of one service. Safe for concurrent use.
type Outbox struct {
	Params
	sql      statements
	wake     chan struct{}
	unstored unstored
}

// statements are the ones with the schema's name in them.
type statements struct {
	insert, insertMany string
	read, remove, park string
	stats              string

	acquire, renew, notify string
}

// New makes an outbox over tables that a migration has made. It does not connect.
func New(p Params) (*Outbox, error) {
	switch {
	case p.Pool == nil || p.Now == nil || p.NewID == nil || p.Random == nil || p.Log == nil || p.Source == "":
		return nil, errors.New("make outbox: a parameter is missing: Pool, Schema, Source, Now, NewID, Random and Log are all needed")
	case !plainName.MatchString(p.Schema):
		return nil, fmt.Errorf("make outbox: schema name %q: use lower-case letters, digits and underscores", p.Schema)
	}
	in := func(sql string) string { return strings.ReplaceAll(sql, "{schema}", p.Schema) }
	return &Outbox{
		Params: p,
		sql: statements{
			insert: in(insertSQL), insertMany: in(insertManySQL),
			read: in(readSQL), remove: in(removeSQL), park: in(parkSQL), stats: in(statsSQL),
			acquire: in(acquireSQL), renew: in(renewSQL), notify: in(notifySQL),
		},
		wake: make(chan struct{}, 1),
	}, nil
}

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
	var began pgx.Tx
	err := pg.InTx(ctx, o.Pool, func(tx pgx.Tx) error {
		began = tx
		return fn(tx)
	})
	o.unstored.settle(began, err == nil)
	if err == nil {
		o.Wake()
	}
	return err
}

// Wake tells the relay that there may be something to deliver, for a store that committed by other means than InTx. It never blocks.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // a wake is waiting already
	}
}

// Append appends messages in their order.
func (o *Outbox) Append(ctx context.Context, tx pgx.Tx, messages ...Message) error {
	if o.unstored.keep(tx, messages) {
		return nil
	}
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
