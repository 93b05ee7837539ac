package outbox

import (
	_ "embed" // the tables
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
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
	sql  statements
	wake chan struct{}
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

// Wake tells the relay that there may be something to deliver, for a store that committed by other means than InTx. It never blocks.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default: // a wake is waiting already
	}
}
