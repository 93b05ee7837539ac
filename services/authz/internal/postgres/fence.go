package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/pg"
	"github.com/gatehouse/gatehouse/proto/gen/go/gatehouse/authz/v1/reason"
	"github.com/gatehouse/gatehouse/services/authz/internal/postgres/migrations"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// The fence keeps a write of the engine from landing after its command has ended, when its process was stopped in between and another
// one took over: by then a later command may have changed the same object.
//
//	engine's transaction: trigger: command still accepted? its row locked for share ─► write ─► commit, which unlocks
//	Finish:                                          update of that row, which waits ─► end the command ─► commit
//
// So a command ends only when no transaction is between the question and its commit. A process that
// stays stopped there loses its session, and with it the lock and the write, by the time limits
// below.
const (
	fenceIdle = 3 * time.Second // of a transaction of the engine that does nothing
	fenceWait = 4 * time.Second // for the others' locks; longer than fenceIdle
)

// command is the session's setting that tells the trigger for which command the engine writes.
const command = "gatehouse.command"

// prepare is called with each connection of the engine before it is used (pgxpool.Config.PrepareConn).
func prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	id := relationship.CommandOf(ctx)
	if id == "" {
		return true, nil
	}
	conn.PgConn().CustomData()[command] = id
	if _, err := conn.Exec(ctx, setCommand, id); err != nil {
		return false, fmt.Errorf("fence a write: %w", err)
	}
	return true, nil
}

// release is called with each connection of the engine after it was used, and says whether it may be used again
// (pgxpool.Config.AfterRelease).
func release(conn *pgx.Conn) bool {
	if conn.PgConn().CustomData()[command] == nil {
		return true
	}
	delete(conn.PgConn().CustomData(), command)
	ctx, cancel := context.WithTimeout(context.Background(), fenceIdle)
	defer cancel()
	_, err := conn.Exec(ctx, setCommand, "")
	return err == nil
}

const setCommand = "select set_config('" + command + "', $1, false)"

// Fence puts the fence around a pool of the engine's connections.
func Fence(c *pgxpool.Config) {
	c.PrepareConn, c.AfterRelease = prepare, release
	c.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(fenceIdle.Milliseconds())
}

const lockNotAvailable = "55P03" // SQLSTATE of a lock timeout

// busy gives the end of fenceWait its meaning for the caller.
func busy(err error) error {
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == lockNotAvailable {
		return reason.RelationshipsBusy().Saying("another write of this change has not ended; try again").
			WithRetryAfter(time.Second).Because(err)
	}
	return err
}

// isFenced looks for the trigger: before each statement that inserts, deletes or updates (2 + 4 + 8
// + 16), and enabled.
const isFenced = `
	select exists (select from pg_catalog.pg_trigger
		where tgrelid = to_regclass('authz_fga.tuple') and tgfoid = to_regproc('authz.fence_write')::oid and tgtype = 30 and tgenabled in ('O', 'A'))`

// makeFence waits for the writes that are under way and holds up new ones until it is made.
const makeFence = `
	create or replace trigger fence before insert or update or delete on authz_fga.tuple
	for each statement execute function authz.fence_write()`

// MigrateFence makes the trigger, once both schemas are migrated. Any number of processes may call
// it at the same time.
func MigrateFence(ctx context.Context, c pg.Config, log *slog.Logger) error {
	return pg.Locked(ctx, c, migrations.Schema, log, func(conn *pgx.Conn) error {
		var made bool
		if err := conn.QueryRow(ctx, isFenced).Scan(&made); err != nil {
			return fmt.Errorf("look for the fence of the relationships: %w", err)
		}
		if made {
			return nil
		}
		if _, err := conn.Exec(ctx, makeFence); err != nil {
			return fmt.Errorf("make the fence of the relationships: %w", err)
		}
		log.InfoContext(ctx, "the relationships are fenced")
		return nil
	})
}

// CheckFence returns an error when writes are not fenced; for readiness.
func CheckFence(ctx context.Context, pool *pgxpool.Pool) error {
	var made bool
	if err := pool.QueryRow(ctx, isFenced).Scan(&made); err != nil {
		return pg.Error(err)
	}
	if !made {
		return reason.RelationshipsNotFenced()
	}
	return nil
}
