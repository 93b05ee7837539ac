// Package postgres keeps Authz's command log in PostgreSQL. One method is one transaction.
//
// Only the wiring and this service's tests import it. Rules live in the domain package; SQL here only locks, reads and writes.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/client/audit"
	"github.com/gatehouse/gatehouse/internal/outbox"
	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// Commands is the command log; it implements relationship.Store.
type Commands struct {
	pool   *pgxpool.Pool
	outbox *outbox.Outbox
	lease  time.Duration
}

// Params are what Commands are made of.
type Params struct {
	Pool   *pgxpool.Pool
	Outbox *outbox.Outbox
	Lease  time.Duration // after which an accepted command may be taken over
}

// NewCommands returns the store.
func NewCommands(p Params) *Commands {
	return &Commands{pool: p.Pool, outbox: p.Outbox, lease: p.Lease}
}

var errNotAccepted = errors.New("roll back: the command is not accepted now")

// Accept implements relationship.Store.
func (s *Commands) Accept(ctx context.Context, objects []string, c relationship.Command,
	decide func(context.Context, relationship.Command, relationship.Departs) (relationship.Command, error),
) (relationship.Outcome, error) {
	var o relationship.Outcome
	err := pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		var err error
		if o, err = known(ctx, tx, c); err != nil || o.Known {
			return err
		}
		if o.Holders, err = lock(ctx, tx, objects, c.ID); err != nil {
			return err
		}
		if o.Holders != nil {
			return errNotAccepted
		}
		if c, err = decide(ctx, c, departsIn(tx)); err != nil {
			return err
		}
		if err := s.insert(ctx, tx, c); err != nil {
			return err
		}
		o.Accepted = true
		return nil
	})
	if errors.Is(err, errNotAccepted) {
		return o, nil
	}
	if err != nil {
		return relationship.Outcome{}, err
	}
	return o, nil
}

// maxIdle is how long a transaction may be idle: a process that is stopped inside of one must not hold objects for as long as that lasts.
const maxIdle = 5 * time.Second

const boundIdle = `select set_config('idle_in_transaction_session_timeout', $1, true)`

func known(ctx context.Context, tx pgx.Tx, c relationship.Command) (o relationship.Outcome, err error) {
	var b pgx.Batch
	b.Queue(boundIdle, fmt.Sprint(maxIdle.Milliseconds()))
	b.Queue(`select fingerprint = $1 from authz.commands where id = $2`, c.Fingerprint, c.ID).QueryRow(func(row pgx.Row) error {
		err := row.Scan(&o.Same)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		o.Known = err == nil
		return err
	})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return relationship.Outcome{}, fmt.Errorf("look for the command: %w", err)
	}
	return o, nil
}

// takeLocks waits, row by row in the given order, for other transactions that are taking or
// releasing the same objects, so that two of them cannot wait for each other. What a command holds
// for longer is left out of the response.
const takeLocks = `
	with taken as (
		insert into authz.object_locks (object, command_id)
		select object, @id from unnest(@objects::text[]) with ordinality as wanted (object, place) order by place
		on conflict (object) do nothing
		returning object
	)
	select count(*) from taken`

const holders = `select distinct command_id::text from authz.object_locks where object = any(@objects) and command_id <> @id`

// lock returns nil when all objects are locked now, otherwise the commands that hold some of them, which may be none any more.
func lock(ctx context.Context, tx pgx.Tx, objects []string, id string) ([]string, error) {
	var taken int
	if err := tx.QueryRow(ctx, takeLocks, pgx.StrictNamedArgs{"id": id, "objects": objects}).Scan(&taken); err != nil {
		return nil, fmt.Errorf("lock objects: %w", err)
	}
	if taken == len(objects) {
		return nil, nil
	}
	rows, err := tx.Query(ctx, holders, pgx.StrictNamedArgs{"id": id, "objects": objects})
	if err != nil {
		return nil, fmt.Errorf("find the holders of locks: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s *Commands) insert(ctx context.Context, tx pgx.Tx, c relationship.Command) error {
	tag, err := tx.Exec(ctx, `
		insert into authz.commands (id, state, fingerprint, writes, deletes, event_id, event_key, event, claim, claim_until, accept_time)
		values (@id, 'accepted', @fingerprint, @writes, @deletes, @event_id, @event_key, @event, @claim, clock_timestamp() + @lease, clock_timestamp())
		on conflict (id) do nothing`,
		pgx.StrictNamedArgs{
			"id": c.ID, "fingerprint": c.Fingerprint, "writes": texts(c.Writes), "deletes": texts(c.Deletes),
			"event_id": c.EventID, "event_key": c.EventKey, "event": c.Event, "claim": c.Claim, "lease": s.lease,
		})
	if err != nil {
		return fmt.Errorf("store the command: %w", err)
	}
	if tag.RowsAffected() == 0 { // the same id was accepted meanwhile
		return errNotAccepted
	}
	return nil
}

// claim takes the row lock of one command that nobody else is claiming; null means any command.
const claim = `
	update authz.commands set claim = claim + 1, claim_until = clock_timestamp() + @lease
	where id = (
		select id from authz.commands
		where state = 'accepted' and claim_until <= clock_timestamp() and (@ids::uuid[] is null or id = any(@ids::uuid[]))
		order by claim_until limit 1
		for update skip locked
	)
	returning id::text, writes, deletes, event_id::text, event_key, event, claim`

// Claim implements relationship.Store.
func (s *Commands) Claim(ctx context.Context, ids []string) (relationship.Command, bool, error) {
	rows, err := s.pool.Query(ctx, claim, pgx.StrictNamedArgs{"ids": ids, "lease": s.lease})
	if err != nil {
		return relationship.Command{}, false, pg.Error(err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCommand)
	if errors.Is(err, pgx.ErrNoRows) {
		return relationship.Command{}, false, nil
	}
	return c, err == nil, pg.Error(err)
}

func scanCommand(row pgx.CollectableRow) (c relationship.Command, err error) {
	var writes, deletes []string
	if err := row.Scan(&c.ID, &writes, &deletes, &c.EventID, &c.EventKey, &c.Event, &c.Claim); err != nil {
		return c, err
	}
	if c.Writes, err = tuples(writes); err != nil {
		return c, err
	}
	c.Deletes, err = tuples(deletes)
	return c, err
}

const renew = `
	update authz.commands set claim_until = clock_timestamp() + @lease
	where id = @id and state = 'accepted' and claim = @claim`

// Renew implements relationship.Store.
func (s *Commands) Renew(ctx context.Context, c relationship.Command) (bool, error) {
	tag, err := s.pool.Exec(ctx, renew, pgx.StrictNamedArgs{"id": c.ID, "claim": c.Claim, "lease": s.lease})
	return tag.RowsAffected() == 1, pg.Error(err)
}

const boundEnd = `
	select set_config('idle_in_transaction_session_timeout', $1, true), set_config('lock_timeout', $2, true)`

const endCommand = `
	update authz.commands set state = @state, end_time = clock_timestamp(), event = null
	where id = @id and state = 'accepted' and claim = @claim`

// end marks a command as ended, when no write for it is under way any more. False means that
// somebody else has it or has ended it.
func end(ctx context.Context, tx pgx.Tx, c relationship.Command, state relationship.State) (won bool, err error) {
	var b pgx.Batch
	b.Queue(boundEnd, fmt.Sprint(maxIdle.Milliseconds()), fmt.Sprint(fenceWait.Milliseconds()))
	b.Queue(endCommand, pgx.StrictNamedArgs{"id": c.ID, "state": string(state), "claim": c.Claim}).Exec(func(tag pgconn.CommandTag) error {
		won = tag.RowsAffected() > 0
		return nil
	})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return false, busy(fmt.Errorf("mark the command as ended: %w", err))
	}
	return won, nil
}

const releaseLocks = `delete from authz.object_locks where command_id = @id`

// Finish implements relationship.Store. The audit row is appended under the locks of the objects, so that rows of one object stand in
// the order of its changes.
func (s *Commands) Finish(ctx context.Context, c relationship.Command, state relationship.State) (bool, error) {
	ended := false
	err := s.outbox.InTx(ctx, func(tx pgx.Tx) error {
		won, err := end(ctx, tx, c, state)
		if err != nil || !won {
			return err
		}
		ended = true
		if state == relationship.Applied {
			err := s.outbox.Append(ctx, tx, outbox.Message{ID: c.EventID, Topic: audit.Topic, Key: c.EventKey, Payload: c.Event})
			if err != nil {
				return fmt.Errorf("append the audit row: %w", err)
			}
			if _, err := tx.Exec(ctx, forgetSuspended, pgx.StrictNamedArgs{"id": c.ID}); err != nil {
				return fmt.Errorf("forget the suspensions of deleted users: %w", err)
			}
		}
		if _, err = tx.Exec(ctx, releaseLocks, pgx.StrictNamedArgs{"id": c.ID}); err != nil {
			return fmt.Errorf("release locks: %w", err)
		}
		return nil
	})
	return ended && err == nil, err
}

const states = `select id::text, state from authz.commands where id = any(@ids::uuid[])`

// States implements relationship.Store.
func (s *Commands) States(ctx context.Context, ids []string) (map[string]relationship.State, error) {
	rows, err := s.pool.Query(ctx, states, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return nil, pg.Error(err)
	}
	found := map[string]relationship.State{}
	var id, state string
	_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error {
		found[id] = relationship.State(state)
		return nil
	})
	return found, pg.Error(err)
}

// forget names the rows by an array: joined with the table, few rows may cost a scan of all.
const forget = `
	delete from authz.commands where id = any(array(
		select id from authz.commands where state <> 'accepted' and end_time < @before
		order by end_time limit @row_limit
		for update skip locked
	))`

// Forget implements relationship.Store. Rows that another instance is removing are left to it.
func (s *Commands) Forget(ctx context.Context, before time.Time, limit int) (int, error) {
	tag, err := s.pool.Exec(ctx, forget, pgx.StrictNamedArgs{"before": before, "row_limit": limit})
	return int(tag.RowsAffected()), pg.Error(err)
}
