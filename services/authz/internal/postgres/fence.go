package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse/gatehouse/internal/apierr"
	"github.com/gatehouse/gatehouse/services/authz/internal/relationship"
)

// The fence keeps a write of the engine from landing after its command has ended, when its process was stopped in between and another
// one took over: by then a later command may have changed the same object.
//
//	engine's connection: lock shared ─► command still accepted? ─► write ─► unlock
//	Finish:                                     lock exclusive ─► end the command ─► commit, which unlocks
//
// So a command ends only when nobody is between the question and the end of the write. A process that stays stopped there loses its
// session, and with it the lock and the write, by the time limits below.
const (
	fenceIdle = 3 * time.Second // of a session that holds the lock and does nothing
	fenceWait = 4 * time.Second // for the others' locks; longer than fenceIdle
)

// fenced marks a connection that holds the lock.
const fenced = "gatehouse.fenced"

// fenceKey is the number of a command's advisory lock.
const fenceKey = `hashtextextended('authz command ' || $1::text, 0)`

var errEnded = errors.New("the command has ended: somebody else applied it")

// prepare is called with each connection of the engine before it is used (pgxpool.Config.PrepareConn).
func prepare(ctx context.Context, conn *pgx.Conn) (bool, error) {
	id := relationship.CommandOf(ctx)
	if id == "" {
		return true, nil
	}
	conn.PgConn().CustomData()[fenced] = true
	var b pgx.Batch
	b.Queue("select set_config('idle_session_timeout', $1, false)", fmt.Sprint(fenceIdle.Milliseconds()))
	b.Queue("select pg_advisory_lock_shared("+fenceKey+")", id)
	b.Queue("select exists (select from authz.commands where id = $1 and state = 'accepted')", id) // a later snapshot than the lock
	results := conn.SendBatch(ctx, &b)
	open, err := readFence(results)
	if closed := results.Close(); err == nil {
		err = closed
	}
	switch {
	case err != nil:
		return false, fmt.Errorf("fence a write: %w", err)
	case !open:
		return release(conn), errEnded
	default:
		return true, nil
	}
}

func readFence(results pgx.BatchResults) (open bool, err error) {
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return false, err
		}
	}
	err = results.QueryRow().Scan(&open)
	return open, err
}

// release is called with each connection of the engine after it was used, and says whether it may be used again
// (pgxpool.Config.AfterRelease).
func release(conn *pgx.Conn) bool {
	if conn.PgConn().CustomData()[fenced] == nil {
		return true
	}
	delete(conn.PgConn().CustomData(), fenced)
	ctx, cancel := context.WithTimeout(context.Background(), fenceIdle)
	defer cancel()
	_, err := conn.Exec(ctx, "select pg_advisory_unlock_all(), set_config('idle_session_timeout', '0', false)")
	return err == nil
}

const lockNotAvailable = "55P03" // SQLSTATE of a lock timeout

// awaitWriters waits until no write for the command is under way, and keeps new ones out until the transaction ends.
func awaitWriters(ctx context.Context, tx pgx.Tx, id string) error {
	var b pgx.Batch
	b.Queue(boundIdle, fmt.Sprint(maxIdle.Milliseconds()))
	b.Queue("select set_config('lock_timeout', $1, true)", fmt.Sprint(fenceWait.Milliseconds()))
	b.Queue("select pg_advisory_xact_lock("+fenceKey+")", id)
	b.Queue("select set_config('lock_timeout', '0', true)")
	err := tx.SendBatch(ctx, &b).Close()
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == lockNotAvailable {
		return apierr.New(apierr.Unavailable, "RELATIONSHIPS_BUSY", "another write of this change has not ended; try again").
			WithRetryAfter(time.Second).Because(err)
	}
	if err != nil {
		return fmt.Errorf("wait for other writers: %w", err)
	}
	return nil
}

// Fence puts the fence around a pool of the engine's connections.
func Fence(c *pgxpool.Config) { c.PrepareConn, c.AfterRelease = prepare, release }
