package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// lease is how long a leader that is stopped keeps the others from leading; one whose session ends
// keeps them no longer than that.
const lease = 10 * time.Second

// errDeposed says that another instance leads.
var errDeposed = errors.New("another instance has the lease")

// acquireSQL takes the lease of a session that is gone or did not renew it in time. PostgreSQL
// shows every role the sessions of its own.
const acquireSQL = `
	update {schema}.relay as r set pid = me.pid, session_start = me.backend_start, lease_until = clock_timestamp() + @lease
	from pg_catalog.pg_stat_activity as me
	where me.pid = pg_backend_pid() and (r.lease_until <= clock_timestamp() or not exists (
		select from pg_catalog.pg_stat_activity as holder where holder.pid = r.pid and holder.backend_start = r.session_start))
	returning r.channel`

const renewSQL = `
	update {schema}.relay as r set lease_until = clock_timestamp() + @lease
	from pg_catalog.pg_stat_activity as me
	where me.pid = pg_backend_pid() and r.pid = me.pid and r.session_start = me.backend_start`

const notifySQL = `select pg_notify(channel, '') from {schema}.relay`

// acquire reports whether this session has the lease now, and the channel on which the leader
// listens.
func (r *Relay) acquire(ctx context.Context, conn *pgx.Conn) (channel string, leads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseLimit)
	defer cancel()
	err = conn.QueryRow(ctx, r.sql.acquire, pgx.StrictNamedArgs{"lease": lease}).Scan(&channel)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("acquire the relay's lease: %w", err)
	}
	return channel, true, nil
}

// renew returns errDeposed when another instance has taken the lease over.
func (r *Relay) renew(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, leaseLimit)
	defer cancel()
	tag, err := conn.Exec(ctx, r.sql.renew, pgx.StrictNamedArgs{"lease": lease})
	switch {
	case err != nil:
		return fmt.Errorf("renew the relay's lease: %w", err)
	case tag.RowsAffected() == 0:
		return errDeposed
	}
	return nil
}
